import { defineConfig } from "vitest/config";
import WaitingFilesFirst from "./scripts/waiting-files-first.ts";

const conditions = ["@farside/source"];
/** Packages resolve to their TypeScript source, so that no test runs against a stale build. */
const fromSource = {
  resolve: { conditions: [...conditions, "node"] },
  ssr: { resolve: { conditions: [...conditions, "node"], externalConditions: conditions } },
};

/** Deadlines only tell what hangs: each leaves room for processes that start on a busy machine. A poll's own would be a second. */
const common = {
  expect: { requireAssertions: true, poll: { timeout: 20_000 } },
  testTimeout: 120_000,
  hookTimeout: 240_000,
};

export default defineConfig({
  test: {
    // Most tests wait for other processes: more workers than cores keep the cores busy (of two, three left 14 % idle).
    maxWorkers: 4,
    sequence: { sequencer: WaitingFilesFirst },
    reporters: ["default", "./scripts/closing-line-reporter.ts"],
    projects: [
      {
        ...fromSource,
        test: {
          ...common,
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "scripts/**/*.test.ts", "bench/src/**/*.test.ts"],
        },
      },
      {
        ...fromSource,
        test: {
          ...common,
          name: "e2e",
          include: ["test/**/*.e2e.test.ts"],
          globalSetup: ["test/support/global-setup.ts"],
        },
      },
    ],
  },
});

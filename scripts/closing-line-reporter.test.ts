import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import type { TestModule } from "vitest/node";
import ClosingLineReporter from "./closing-line-reporter.ts";

afterEach(() => vi.restoreAllMocks());

const moduleOf = (
  states: readonly string[],
  errors: readonly unknown[] = [],
  note?: string,
  fullName = "b",
) =>
  ({
    relativeModuleId: "a.test.ts",
    errors: () => errors,
    children: {
      allSuites: () => [],
      allTests: () =>
        states.map((state) => ({
          fullName,
          result: () => ({ state, note }),
        })),
    },
  }) as unknown as TestModule;

/** What is written at the process's very end. */
function closingLine(modules: readonly TestModule[], unhandled: readonly unknown[] = []): string {
  let atExit: () => void = () => undefined;
  vi.spyOn(process, "on").mockImplementation((_event: unknown, listener: unknown) => {
    atExit = listener as () => void;
    return process;
  });
  new ClosingLineReporter().onTestRunEnd(modules, unhandled);
  const written = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  atExit();
  return written.mock.calls.map(([text]) => text).join("");
}

test("the last line counts every test, and those that never ended as skipped", () => {
  const modules = [moduleOf(["passed", "passed", "failed"]), moduleOf(["skipped", "pending", "passed"])];
  expect(closingLine(modules)).toBe("3 passed, 1 failed, 2 skipped\n");
});

test("a file that can't be loaded and an error outside of every test are failures", () => {
  const modules = [moduleOf([], [new Error("no such module")]), moduleOf(["passed"])];
  expect(closingLine(modules, [new Error("unhandled")])).toBe("1 passed, 2 failed, 0 skipped\n");
});

test("a test that was skipped for a reason is named with it", () => {
  expect(closingLine([moduleOf(["skipped"], [], "nobody to ask"), moduleOf(["skipped"])])).toBe(
    "skipped: a.test.ts > b: nobody to ask\n0 passed, 0 failed, 2 skipped\n",
  );
});

test("tests whose names say what they need are counted by it", () => {
  const lab = moduleOf(["skipped", "skipped"], [], undefined, "a lab [needs root] > c");
  expect(closingLine([lab, moduleOf(["passed"])])).toBe(
    "skipped: 2 that need root\n1 passed, 0 failed, 2 skipped\n",
  );
});

test("a hook that fails after tests that passed is a failure, and the run's", async () => {
  const checkout = path.resolve(import.meta.dirname, "..");
  // Within the checkout, so that vitest is found.
  const root = await mkdtemp(path.join(checkout, "node_modules", ".closing-line-"));
  const hooks =
    "describe('a', () => { afterAll(() => { throw new Error('left'); }); test('b', () => {}); });";
  await writeFile(
    path.join(root, "hooks.test.js"),
    `import { afterAll, describe, test } from "vitest"; ${hooks} afterAll(() => { throw new Error("left"); });`,
  );
  // Or it would take the checkout's own, which is above.
  await writeFile(path.join(root, "vitest.config.js"), "export default {};");
  const vitest = path.join(checkout, "node_modules/vitest/vitest.mjs");
  const reporter = path.join(checkout, "scripts/closing-line-reporter.ts");
  const args = [vitest, "run", "--root", root, `--reporter=${reporter}`];
  const { code, stdout } = await new Promise<{ code: unknown; stdout: string }>((resolve) => {
    execFile(process.execPath, args, { timeout: 60_000 }, (error, stdout) =>
      resolve({ code: error?.code, stdout }),
    );
  });
  await rm(root, { recursive: true });
  expect({ code, last: stdout.trim().split("\n").at(-1) }).toEqual({
    code: 1,
    last: "1 passed, 2 failed, 0 skipped",
  });
});

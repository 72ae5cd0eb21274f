import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { InstalledConfig } from "@farside/protocol";
import { afterAll, afterEach, beforeAll } from "vitest";
import { bundlePath } from "../installed/agent-folder.ts";
import { type BuiltBundle, buildBundle } from "./build-bundle.ts";
import { InstalledUnderTest } from "./installed-process.ts";
import { serveTcp, type TestServer } from "./tcp.ts";

/** What the tests of a file have of the installed agent. */
export interface InstalledTests {
  /** Port of a service that echoes; after the set-up only. */
  readonly echoPort: number;
  /** An agent with that configuration in a folder of its own, not started; it ends with its test. */
  put(config: InstalledConfig): Promise<InstalledUnderTest>;
  /** Another bundle in the agent's folder: the same program, or another one, with another digest. */
  putNext(agent: InstalledUnderTest, program?: string): Promise<string>;
}

export function useInstalledAgent(): InstalledTests {
  let bundle: BuiltBundle;
  let echo: TestServer;
  const agents: InstalledUnderTest[] = [];
  beforeAll(async () => {
    bundle = await buildBundle("installed-agent");
    echo = await serveTcp((socket) => socket.pipe(socket));
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) await agent[Symbol.asyncDispose]();
  });
  afterAll(async () => {
    await bundle[Symbol.asyncDispose]();
    await echo[Symbol.asyncDispose]();
  });
  return {
    get echoPort() {
      return echo.port;
    },
    async put(config) {
      const agent = await InstalledUnderTest.put(bundle.path, config);
      agents.push(agent);
      return agent;
    },
    async putNext(agent, program = readFileSync(bundle.path, "utf8")) {
      const next = bundlePath(agent.places, "2".repeat(64));
      await writeFile(next, `${program}\n// another\n`);
      return next;
    },
  };
}

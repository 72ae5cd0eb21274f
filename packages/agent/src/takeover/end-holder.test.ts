import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { processStart } from "@farside/protocol/process-start";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startHolder } from "../testing/start-holder.ts";
import { endHolder } from "./end-holder.ts";
import { type ProvenAgent, proveAgent } from "./proven-agent.ts";

const uid = process.getuid?.() ?? 0;
let folder: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "fs-end-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

/** An agent that heeds no SIGTERM. On SIGUSR2 it answers, after what `onAsked` does. */
async function deafHolder({ onTerm = "", onAsked = "", more = "" } = {}) {
  const old = await startHolder({
    more: `let told = 0; ${more};
      process.on("SIGTERM", () => { told += 1; ${onTerm} });
      process.on("SIGUSR2", () => { ${onAsked}; console.log(told); })`,
  });
  children.push(old.child);
  const agent = await proveAgent(old.pid, uid);
  if (agent === undefined) throw new Error("the holder is no agent");
  const lines = createInterface({ input: old.child.stdout as Readable });
  return {
    end: (changes: Partial<ProvenAgent> = {}) =>
      endHolder({ ...agent, ...changes }, { uid, session: "new", address: `127.0.0.1:${old.port}` }),
    ...{ agent, child: old.child },
    /** How often it got SIGTERM, or what ended it. */
    async ask(): Promise<string> {
      old.child.kill("SIGUSR2");
      return String((await Promise.race([once(lines, "line"), once(old.child, "exit")])).join(" "));
    },
  };
}

describe("a process that was proven to be an agent", () => {
  test("gets no signal when another agent has got its number meanwhile", async () => {
    const { agent, end, ask } = await deafHolder();
    await end({ start: `${Number(agent.start) - 1}` });
    expect(await ask()).toBe("0");
  });

  test("gets no signal when it is no agent any more", async () => {
    const { end, ask } = await deafHolder({ onAsked: 'process.title = "node"' });
    await ask();
    await end();
    expect(await ask()).toBe("0");
  });

  test("is not killed when it is no agent any more after SIGTERM", async () => {
    const { end, ask } = await deafHolder({ onTerm: 'process.title = "node"' });
    await end();
    expect(await ask()).toBe("1");
  });

  test("is killed with the commands that it runs when it does not heed SIGTERM, and nobody else is", async () => {
    const start = (env: string) =>
      `require("child_process").spawn("sleep", ["60"], { detached: true, env: ${env} }).pid`;
    const { end, child } = await deafHolder({
      more: `const fs = require("fs"), pids = [${start("process.env")}, ${start("{ PATH: process.env.PATH }")}];
        fs.writeFileSync(${JSON.stringify(path.join(folder, "pids"))}, pids.join(" "))`,
    });
    const [command = 0, other = 0] = (await readFile(path.join(folder, "pids"), "utf8"))
      .split(" ")
      .map(Number);
    try {
      await end();
      await expect.poll(() => child.signalCode).toBe("SIGKILL");
      expect(await processStart(command)).toBeUndefined();
      expect(await processStart(other)).toBeDefined();
    } finally {
      process.kill(other, "SIGKILL");
    }
  });
});

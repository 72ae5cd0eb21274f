import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { verifyAudit } from "./verify-audit.ts";

const PROGRAM = fileURLToPath(new URL("../testing/audit-writer.ts", import.meta.url));
const NODE = ["--import", import.meta.resolve("tsx"), "--conditions=@farside/source"];

test("processes that write to one log at full speed make one chain, also where one is killed in the middle", async () => {
  const folder = await mkdtemp(join(tmpdir(), "farside-audit-"));
  const start = (name: string) =>
    spawn(process.execPath, [...NODE, PROGRAM, folder, name], { stdio: ["pipe", "pipe", "inherit"] });
  const writers = ["one", "two", "killed"].map((name) => ({ name, process: start(name) }));
  try {
    const lines = async () => {
      const names = (await readdir(folder)).filter((name) => name.endsWith(".jsonl"));
      const files = await Promise.all(
        names.map((name) => readFile(join(folder, name), "utf8").catch(() => "")),
      );
      return files.join("").split("\n").filter(Boolean);
    };
    const written = async (name: string) =>
      (await lines()).filter((line) => line.includes(`"event":"${name}"`)).length;
    const some = async () => Math.min(...(await Promise.all(writers.map(({ name }) => written(name)))));
    await expect.poll(some, { timeout: 30_000 }).toBeGreaterThan(30);
    const others = writers.filter(({ name }) => name !== "killed");
    for (const { name, process } of writers) if (name === "killed") process.kill("SIGKILL");
    const after = (await lines()).length;
    await expect.poll(async () => (await lines()).length, { timeout: 30_000 }).toBeGreaterThan(after + 60);
    for (const { process } of others) process.stdin.end();
    const told = await Promise.all(others.map(async ({ process }) => Number(await text(process.stdout))));
    // Only now: while one still writes, a file may get its next name between being listed and being read.
    expect(await Promise.all(others.map(({ name }) => written(name)))).toEqual(told);
    const { findings, last } = await verifyAudit(folder);
    expect(findings).toEqual([]);
    expect(last?.seq).toBe((await lines()).filter((line) => line.endsWith("}")).length);
    expect(await readdir(folder)).not.toContain("audit.lock");
  } finally {
    for (const { process } of writers) process.kill("SIGKILL");
    await Promise.all(writers.map((writer) => ended(writer.process)));
    await rm(folder, { recursive: true, force: true });
  }
});

async function ended(process: ChildProcess): Promise<void> {
  if (process.exitCode === null && process.signalCode === null) await once(process, "exit");
}

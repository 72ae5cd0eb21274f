import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { withFileLock } from "./file-lock.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-lock-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("one works at a time, and nothing is left", async () => {
  let inside = 0;
  let most = 0;
  const work = async () => {
    inside += 1;
    most = Math.max(most, inside);
    await wait(1);
    inside -= 1;
  };
  const path = join(folder, "lock");
  await Promise.all(Array.from({ length: 20 }, () => withFileLock(path, work)));
  expect(most).toBe(1);
  expect(await readdir(folder)).toEqual([]);
});

/** A process that takes the lock and keeps it. */
async function holder(path: string) {
  const module = pathToFileURL(join(import.meta.dirname, "file-lock.ts")).href;
  const script = `import(${JSON.stringify(module)}).then(({ withFileLock }) =>
    withFileLock(${JSON.stringify(path)}, () => { console.log("held"); return new Promise(() => setInterval(() => {}, 1e6)); }))`;
  const options = ["--import", "tsx", "--conditions=@farside/source", "--input-type=module", "-e", script];
  const child = spawn(process.execPath, options, { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return child;
}

test("the lock of a process that was killed is broken, by one of many; that of a live one is not", async () => {
  const path = join(folder, "lock");
  const child = await holder(path);
  await expect(withFileLock(path, async () => {}, { timeoutMs: 100 })).rejects.toMatchObject({
    code: "timeout",
  });
  child.kill("SIGKILL");
  await once(child, "exit");
  let inside = 0;
  let most = 0;
  const work = async () => {
    inside += 1;
    most = Math.max(most, inside);
    await wait(2);
    inside -= 1;
  };
  await Promise.all(Array.from({ length: 10 }, () => withFileLock(path, work)));
  expect(most).toBe(1);
  expect(await readdir(folder)).toEqual([]);
});

test("what another machine holds counts until it is old", async () => {
  const path = join(folder, "lock");
  await writeFile(path, JSON.stringify({ pid: 1, start: "1", place: "elsewhere" }));
  await expect(withFileLock(path, async () => {}, { timeoutMs: 50 })).rejects.toMatchObject({
    code: "timeout",
  });
});

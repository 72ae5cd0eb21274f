import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { lockHolder, takeLock } from "./process-lock.ts";

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-lock-"));
  file = join(folder, "supervisor.lock");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const gone = JSON.stringify({ pid: process.pid, start: "1" });

describe("a lock that a process holds", () => {
  test.each([
    ["nobody has had", undefined],
    ["is left of a process that is gone, and whose pid another has", gone],
    ["is left of a crash, empty", ""],
  ])("that %s is taken by one of eight who try at once", async (_, left) => {
    for (let round = 0; round < 5; round += 1) {
      if (left !== undefined) await writeFile(file, left);
      const taken = await Promise.all(Array.from({ length: 8 }, () => takeLock(file)));
      expect(taken.filter(Boolean)).toHaveLength(1);
      expect(await lockHolder(file)).toMatchObject({ pid: process.pid });
      expect(await takeLock(file)).toBe(false);
      expect(await readdir(folder)).toEqual(["supervisor.lock"]);
      await rm(file);
    }
  });

  test("can't be taken where its folder is gone, and says so", async () => {
    await rm(folder, { recursive: true });
    await expect(takeLock(file)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("names its holder by pid and start, so that a successor to the pid is not taken for it", async () => {
    expect(await takeLock(file)).toBe(true);
    const { pid, start } = JSON.parse(await readFile(file, "utf8"));
    await writeFile(file, JSON.stringify({ pid, start: `${start}0` }));
    expect(await lockHolder(file)).toBeUndefined();
    expect(await takeLock(file)).toBe(true);
  });
});

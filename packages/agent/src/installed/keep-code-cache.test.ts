import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { placesIn } from "./agent-folder.ts";
import { keepCodeCache } from "./keep-code-cache.ts";
import { CHECKSUM_BYTES, COMPILED } from "./start-text.ts";

const data = Buffer.from("compiled");
const NAME = `agent-${"1".repeat(16)}-${"2".repeat(16)}.cache`;
const OLD = `agent-${"0".repeat(16)}-${"2".repeat(16)}.cache`;
let folder: string;
let bundle: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "farside-cache-"));
  bundle = path.join(folder, "agent-x.cjs");
  await writeFile(bundle, "");
  await symlink("agent-x.cjs", placesIn(folder).program);
  await writeFile(path.join(folder, OLD), "old");
  await writeFile(path.join(folder, `${OLD}.new`), "o");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const scope = (isTaken = false) => ({
  [COMPILED]: { script: { createCachedData: () => data }, cache: path.join(folder, NAME), isTaken },
});
const caches = async () => (await readdir(folder)).filter((name) => name.includes(".cache"));

describe("what V8 has compiled", () => {
  test("is kept privately, behind its checksum, in the place of any other, once", async () => {
    const once = scope();
    await keepCodeCache(placesIn(folder), bundle, once);
    const file = path.join(folder, NAME);
    const bytes = await readFile(file);
    expect(bytes.subarray(0, CHECKSUM_BYTES)).toEqual(createHash("sha256").update(data).digest());
    expect(bytes.subarray(CHECKSUM_BYTES)).toEqual(data);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await caches()).toEqual([NAME]);
    await rm(file);
    await keepCodeCache(placesIn(folder), bundle, once);
    expect(await caches()).toEqual([]);
  });

  test("is not kept where it was taken, where there is none, or where another bundle is the current one", async () => {
    await keepCodeCache(placesIn(folder), bundle, scope(true));
    await keepCodeCache(placesIn(folder), bundle, {});
    await keepCodeCache(placesIn(folder), path.join(folder, "agent-y.cjs"), scope());
    expect(await caches()).toEqual([OLD, `${OLD}.new`]);
  });
});

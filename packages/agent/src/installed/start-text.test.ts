import { execFile } from "node:child_process";
import { chmod, chown, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { oldestNode } from "../testing/build-bundle.ts";
import { hasOtherUsers } from "../testing/other-user.ts";
import { bundlePath, placesIn } from "./agent-folder.ts";
import { CODE_CACHE, START_TEXT } from "./start-text.ts";

const places = () => placesIn(folder);
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "farside-start-"));
  await writeFile(places().start, START_TEXT);
  await put("good");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A bundle that says a word and what it found, and keeps what was compiled of it as an agent does. All words of a length. */
async function put(word: string): Promise<void> {
  const file = bundlePath(places(), "1".repeat(64));
  await writeFile(
    file,
    `const { script, cache, isTaken } = globalThis[Symbol.for("farside.compiled")];
    console.log(JSON.stringify({ said: "${word}", isTaken, argv: process.argv.slice(1), here: [__filename, __dirname] }));
    if (process.argv[2] === "keep") {
      const data = script.createCachedData();
      const sum = require("node:crypto").createHash("sha256").update(data).digest();
      require("node:fs").writeFileSync(cache, Buffer.concat([sum, data]), { mode: 0o600 });
    }\n`,
  );
  await rm(places().program, { force: true });
  await symlink(path.basename(file), places().program);
}

async function start(verb = "serve", node = process.execPath, flags: readonly string[] = []) {
  const { stdout, stderr } = await promisify(execFile)(node, [...flags, places().start, verb, folder]);
  expect(stderr).toBe("");
  return JSON.parse(stdout) as { said: string; isTaken: boolean; argv: string[]; here: string[] };
}

async function cachePath(): Promise<string> {
  const [file, ...others] = (await readdir(folder)).filter((name) => CODE_CACHE.test(name));
  expect(others).toEqual([]);
  return path.join(folder, file ?? "none");
}

describe("an installed agent's start", () => {
  test("runs the current bundle as Node.js itself would", async () => {
    const file = bundlePath(places(), "1".repeat(64));
    expect(await start()).toEqual({
      said: "good",
      isTaken: false,
      argv: [file, "serve", folder],
      here: [file, folder],
    });
  });

  test("takes what was compiled by the same Node.js of the same bundle", async () => {
    await start("keep");
    expect(await start()).toMatchObject({ said: "good", isTaken: true });
    await put("best");
    expect(await start()).toMatchObject({ said: "best", isTaken: false });
  });

  test("takes nothing of another Node.js or of other flags, on the oldest neither", async () => {
    const oldest = await oldestNode();
    await start("keep");
    expect(await start("serve", oldest)).toMatchObject({ said: "good", isTaken: false });
    expect(await start("serve", process.execPath, ["--no-opt"])).toMatchObject({ isTaken: false });
    await rm(await cachePath());
    await start("keep", oldest);
    expect(await start("serve", oldest)).toMatchObject({ said: "good", isTaken: true });
  });

  // V8 compares the length of the source only: what is compiled of an evil bundle is run in the good one's place where it is taken.
  const planted: [string, (file: string) => Promise<unknown>][] = [
    ["another user's", (file) => chown(file, 65_534, 65_534)],
    ["one that its group may write", (file) => chmod(file, 0o620)],
    ["one that everybody may read", (file) => chmod(file, 0o604)],
    [
      "a symbolic link",
      async (file) => {
        await rename(file, `${file}.elsewhere`);
        await symlink(`${file}.elsewhere`, file);
      },
    ],
    [
      "one with a byte that has changed",
      async (file) => {
        const bytes = await readFile(file);
        bytes.writeUInt8(bytes.readUInt8(bytes.length - 9) ^ 1, bytes.length - 9);
        await writeFile(file, bytes);
      },
    ],
    ["one that is cut", async (file) => writeFile(file, (await readFile(file)).subarray(0, 500))],
    ["an empty one", (file) => writeFile(file, "")],
  ];
  test.for(planted)("does not take %s", async ([what, spoil], { skip }) => {
    skip(what === "another user's" && !hasOtherUsers, "only root can give a file away");
    await start("keep");
    const name = await cachePath();
    await rm(name);
    await put("evil");
    await start("keep");
    await rename(await cachePath(), name);
    await put("good");
    // So far it would be taken.
    expect(await start()).toMatchObject({ said: "evil", isTaken: true });
    await spoil(name);
    expect(await start()).toMatchObject({ said: "good", isTaken: false });
  });
});

import { chmod, chown, mkdir, mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hasOtherUsers, NOBODY } from "../testing/other-user.ts";
import {
  checkPrivate,
  leaveRunDirectory,
  makePrivate,
  openRunDirectory,
  runDirectories,
} from "./run-directory.ts";

const uid = process.getuid?.() ?? 0;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "fs-run-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const facts = (changes: object = {}) => ({
  ...{ uid, home: `${folder}/home`, runtimeFolder: folder, isRuntimeFolderLasting: true },
  ...changes,
});
const modeOf = async (file: string) => (await stat(file)).mode & 0o777;

/** Its owner can put another in its place at any time. */
const inAnothers: [string, () => Promise<void>] = [
  "in a folder of another user",
  async () => {
    await mkdir(`${folder}/farside`, { mode: 0o700 });
    await chown(folder, NOBODY, NOBODY);
  },
];

describe("the folder of the control sockets", () => {
  test("is made also while other agents that end remove it, empty as it is", async () => {
    const place = `${folder}/farside`;
    const made = () => makePrivate(place, uid);
    const left = () => leaveRunDirectory(place);
    for (let times = 0; times < 1_000; times += 1) await Promise.all([made(), left(), made(), left()]);
    await makePrivate(place, uid);
    expect(await modeOf(place)).toBe(0o700);
  });

  test("is looked for in the runtime folder, in /tmp and below the home", () => {
    expect(runDirectories(facts({ uid: 7, runtimeFolder: "/run/user/7", home: "/home/b" }))).toEqual([
      "/run/user/7/farside",
      "/tmp/farside-7",
      "/home/b/.local/state/farside/run",
    ]);
    expect(runDirectories(facts({ uid: 7, runtimeFolder: undefined, home: "not/absolute" }))).toEqual([
      "/tmp/farside-7",
    ]);
  });

  test("is made with mode 0700, taken again, and goes when it is empty", async () => {
    const umask = process.umask(0o277);
    try {
      expect(await openRunDirectory(facts())).toBe(`${folder}/farside`);
    } finally {
      process.umask(umask);
    }
    expect(await modeOf(`${folder}/farside`)).toBe(0o700);
    expect(await openRunDirectory(facts())).toBe(`${folder}/farside`);
    await writeFile(`${folder}/farside/other.sock`, "");
    await leaveRunDirectory(`${folder}/farside`);
    expect(await modeOf(`${folder}/farside`)).toBe(0o700);
    await rm(`${folder}/farside/other.sock`);
    await leaveRunDirectory(`${folder}/farside`);
    await expect(stat(`${folder}/farside`)).rejects.toThrow(/ENOENT/);
  });

  test("that others could only read becomes private", async () => {
    await mkdir(`${folder}/farside`, { mode: 0o755 });
    expect(await openRunDirectory(facts())).toBe(`${folder}/farside`);
    expect(await modeOf(`${folder}/farside`)).toBe(0o700);
  });

  test.each([
    [
      "a symbolic link, also to a private folder of ours",
      async () => {
        await mkdir(`${folder}/private`, { mode: 0o700 });
        await symlink(`${folder}/private`, `${folder}/farside`);
      },
    ],
    ["a file", async () => writeFile(`${folder}/farside`, "")],
    [
      "a folder that others may write to",
      async () => {
        await mkdir(`${folder}/farside`);
        await chmod(`${folder}/farside`, 0o770);
      },
    ],
    ["in a folder that others may write to", async () => chmod(folder, 0o777)],
    ...(hasOtherUsers ? [inAnothers] : []),
  ])("is not taken where it is %s", async (_what, make) => {
    await make();
    await expect(checkPrivate(`${folder}/farside`, uid)).rejects.toThrow();
    const taken = await openRunDirectory(facts({ home: undefined }));
    expect(taken).toBe(`/tmp/farside-${uid}`);
    await leaveRunDirectory(taken);
  });

  test("is not taken from another user, nor where the runtime folder goes with the login", async () => {
    await mkdir(`${folder}/farside`, { mode: 0o700 });
    await expect(checkPrivate(`${folder}/farside`, uid + 1)).rejects.toThrow(/of uid/);
    const taken = await openRunDirectory(facts({ isRuntimeFolderLasting: false }));
    expect(taken).toBe(`/tmp/farside-${uid}`);
    await leaveRunDirectory(taken);
  });

  test("falls back below the home, making what is missing, and says where nothing can be had", async () => {
    // Nobody's: there is no such folder in /tmp, and none of that uid can be made.
    const other = uid === 0 ? 4_000_000_001 : uid;
    const nowhere = facts({ uid: other, runtimeFolder: `${folder}/${"x".repeat(60)}`, home: undefined });
    const opening = openRunDirectory(nowhere);
    if (uid === 0) await expect(opening).rejects.toMatchObject({ code: "agent.unsupported-host" });
    else expect(await opening).toBe(`/tmp/farside-${uid}`);
    await leaveRunDirectory(`/tmp/farside-${other}`);
  });
});

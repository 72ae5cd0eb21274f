import {
  chmod,
  chown,
  lchown,
  mkdir,
  mkdtemp,
  readdir,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, test, vi } from "vitest";
import { AgentStore } from "./persistent/agent-store.ts";
import { noteHostAudit, noteInstalled } from "./persistent/host-audit.ts";
import { SessionFolder } from "./session-folder.ts";
import { listSessions, readSession } from "./session-store.ts";
import { isOwnFolder, isStateFolder, makeStateFolder } from "./state-folder.ts";

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-state-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const create = (root: string) =>
  SessionFolder.create(root, { name: "calm-otter", jump: "build", host: "builder@build" });

test("one of ours that others may write to is made private", async () => {
  await chmod(folder, 0o777);
  await makeStateFolder(folder);
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
});

/** Whether it would be taken, which both ways of asking must say. */
async function isTaken(root: string): Promise<boolean> {
  const made = await makeStateFolder(root).then(
    () => true,
    (error) => {
      expect(error).toMatchObject({
        code: "config.invalid",
        hint: expect.stringContaining("XDG_STATE_HOME"),
      });
      return false;
    },
  );
  expect(await isStateFolder(root)).toBe(made);
  return made;
}

describe("the folder above it", () => {
  it("may be one that others write to only where they can't move ours away", async () => {
    const above = join(folder, "above");
    await mkdir(above);
    for (const [mode, expected] of [
      [0o777, false],
      [0o757, false],
      [0o1777, true],
      [0o755, true],
      [0o777, false],
    ] as const) {
      await chmod(above, mode);
      expect([mode, await isTaken(join(above, "farside"))]).toEqual([mode, expected]);
    }
  });

  it("is looked at before anything is made there", async () => {
    await chmod(folder, 0o777);
    expect(await isTaken(join(folder, "farside"))).toBe(false);
    expect(await readdir(folder)).toEqual([]);
  });

  it.runIf(isRoot)("may be one that the user's own group writes to, and no other group", async () => {
    const user = 54_321;
    const root = join(folder, "farside");
    await mkdir(root);
    for (const path of [folder, root]) await chown(path, user, user);
    const [uid, gid] = [vi.spyOn(process, "getuid"), vi.spyOn(process, "getgid")];
    try {
      for (const [mode, group, expected] of [
        [0o775, user, true],
        [0o777, user, false],
        [0o775, 100, false],
      ] as const) {
        uid.mockReturnValue(user);
        gid.mockReturnValue(group);
        await chown(folder, user, group);
        await chmod(folder, mode);
        expect([mode, group, await isTaken(root)]).toEqual([mode, group, expected]);
      }
    } finally {
      uid.mockRestore();
      gid.mockRestore();
    }
  });

  it.runIf(isRoot)("may be root's, and nobody else's", async () => {
    const above = join(folder, "above");
    await mkdir(above, { mode: 0o1777 });
    await chown(above, NOBODY, NOBODY);
    await expect(makeStateFolder(join(above, "farside"))).rejects.toThrow(`${above}, is of uid ${NOBODY}`);
  });
});

describe("a link", () => {
  it("of ours is followed: people link ~/.local/state, or farside in it", async () => {
    await mkdir(join(folder, "disk/state"), { recursive: true });
    await symlink("disk/state", join(folder, "state"));
    expect(await isTaken(join(folder, "state/farside"))).toBe(true);
    await mkdir(join(folder, "disk/other"));
    await symlink("../other", join(folder, "disk/state/linked"));
    expect(await isTaken(join(folder, "state/linked"))).toBe(true);
  });

  it("is refused where it leads to what is not ours alone, nowhere, or in a circle", async () => {
    const open = join(folder, "open");
    await mkdir(join(open, "farside"), { recursive: true });
    await chmod(open, 0o777);
    await symlink(join(open, "farside"), join(folder, "into-open"));
    await symlink("nowhere", join(folder, "dangling"));
    await symlink("circle", join(folder, "circle"));
    await writeFile(join(folder, "file"), "");
    for (const name of ["into-open", "dangling", "circle", "file"])
      expect([name, await isTaken(join(folder, name))]).toEqual([name, false]);
  });

  it("is refused where others could have put it", async () => {
    const open = join(folder, "open");
    await mkdir(open);
    await chmod(open, 0o777);
    await mkdir(join(folder, "ours"));
    await symlink("../ours", join(open, "above"));
    expect(await isTaken(join(open, "above/farside"))).toBe(false);
  });

  it.runIf(isRoot)("is refused where it is somebody else's", async () => {
    await mkdir(join(folder, "ours"));
    await symlink("ours", join(folder, "farside"));
    await lchown(join(folder, "farside"), NOBODY, NOBODY);
    expect(await isTaken(join(folder, "farside"))).toBe(false);
  });
});

test("where others could put another in its place, nothing of an installed agent is written or believed", async () => {
  const above = join(folder, "above");
  const root = join(above, "farside");
  await mkdir(above);
  const store = new AgentStore("u@h", "a", root);
  const record = {
    version: 1,
    name: "a",
    jump: "h",
    host: "u@h",
    forwards: "",
    run: "0".repeat(32),
  } as const;
  await store.write(record);
  await store.making(["/x"]);
  expect([await store.read(), await store.made()]).toEqual([record, ["/x"]]);
  await chmod(above, 0o777);
  expect([await store.read(), await store.made()]).toEqual([undefined, []]);
  const of = { host: "u@h", agent: "a" };
  for (const write of [
    () => store.write(record),
    () => noteInstalled(of, "0", root),
    () => noteHostAudit(of, { seq: 1, hash: "0".repeat(64) }, root),
  ])
    await expect(write()).rejects.toMatchObject({ code: "config.invalid" });
  expect(await readdir(root)).toEqual(["agents"]);
});

test("a link is no agent's folder", async () => {
  const store = new AgentStore("u@h", "a", folder);
  await store.making(["/x"]);
  await symlink(store.folder, join(store.folder, "../b"));
  const linked = new AgentStore("u@h", "b", folder);
  expect(await linked.made()).toEqual([]);
  await expect(linked.making(["/y"])).rejects.toMatchObject({ code: "config.invalid" });
  expect(await store.made()).toEqual(["/x"]);
});

describe.runIf(isRoot)("a state folder that somebody else has made first", () => {
  it("is not written to: it could hold links", async () => {
    const root = join(folder, "farside");
    await mkdir(root, { mode: 0o777 });
    await chown(root, NOBODY, NOBODY);
    for (const make of [() => create(root), () => new AgentStore("u@h", "a", root).making(["/x"])])
      await expect(make()).rejects.toMatchObject({
        code: "config.invalid",
        message: expect.stringContaining(`it is of uid ${NOBODY}`),
      });
  });

  it("has no sessions: they could name any process of ours as their orchestrator's", async () => {
    const session = await create(folder);
    expect(await listSessions(folder)).toHaveLength(1);
    await chown(session.path, NOBODY, NOBODY);
    expect([await listSessions(folder), await readSession(folder, "calm-otter")]).toEqual([[], undefined]);
    expect(await isOwnFolder(session.path)).toBe(false);
  });
});

test("a link is no session's folder", async () => {
  const session = await create(folder);
  const elsewhere = join(folder, "elsewhere");
  await mkdir(elsewhere);
  await symlink(session.path, join(elsewhere, "calm-otter"));
  expect(await readSession(elsewhere, "calm-otter")).toBeUndefined();
});

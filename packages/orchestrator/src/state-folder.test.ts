import { chmod, chown, mkdir, mkdtemp, rm, stat, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, test } from "vitest";
import { AgentStore } from "./persistent/agent-store.ts";
import { SessionFolder } from "./session-folder.ts";
import { listSessions, readSession } from "./session-store.ts";
import { isOwnFolder, makeStateFolder } from "./state-folder.ts";

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

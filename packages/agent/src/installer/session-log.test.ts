import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sessionLog } from "./session-log.ts";

let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "fs-log-"));
  await mkdir(path.join(home, "run/farside"), { recursive: true, mode: 0o700 });
});
afterEach(() => rm(home, { recursive: true, force: true }));

const find = (session: string) =>
  sessionLog(session, {
    ...{ uid: process.getuid?.() ?? 0, home, runtimeFolder: path.join(home, "run") },
    isRuntimeFolderLasting: true,
  });

test("a session's log is found by its name, in a folder that is private", async () => {
  const log = path.join(home, "run/farside/quiet-heron.log");
  await writeFile(log, "");
  expect(await find("quiet-heron")).toBe(log);
  await expect(find("calm-otter")).rejects.toMatchObject({ code: "agent.gone", leg: "jump" });
});

test("what is no session's name leads to no file", async () => {
  await writeFile(path.join(home, "run/other.log"), "");
  for (const name of ["../other", `${home}/run/other`, "..", ""])
    await expect(find(name)).rejects.toMatchObject({ code: "agent.gone" });
});

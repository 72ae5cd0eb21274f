import { spawn } from "node:child_process";
import { once } from "node:events";
import { chown, lstat, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { hasOtherUsers, NOBODY } from "../testing/other-user.ts";
import { removeStaleSocket } from "./stale-socket.ts";

const uid = process.getuid?.() ?? 0;
let folder: string;
let socket: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "fs-stale-"));
  socket = path.join(folder, "a.sock");
  const script = `require("net").createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, "SIGKILL"))`;
  await once(spawn(process.execPath, ["-e", script], { stdio: "ignore" }), "exit");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("a socket of ours that nobody listens on is removed", async () => {
  expect(await removeStaleSocket(socket, uid)).toBe("removed");
  expect(await removeStaleSocket(socket, uid)).toBe("free");
});

test("what is no socket stays, though a connect to it is refused, too", async () => {
  const [file, link] = [path.join(folder, "file"), path.join(folder, "link")];
  await writeFile(file, "");
  await symlink(socket, link);
  for (const each of [file, link]) {
    expect(await removeStaleSocket(each, uid)).toBe("foreign");
    await lstat(each);
  }
  await lstat(socket);
});

test.runIf(hasOtherUsers)("another user's socket stays, though we may remove it", async () => {
  await chown(socket, NOBODY, NOBODY);
  expect(await removeStaleSocket(socket, uid)).toBe("foreign");
  await lstat(socket);
});

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { endOwnLogin, isLoginSshd } from "./login-sshd.ts";

const login = { pid: 100, comm: "sshd", title: "sshd: builder@notty", uid: 1000 };

describe("the sshd of our own login", () => {
  test.each([
    [login],
    [{ ...login, comm: "sshd-session", title: "sshd-session: builder@notty" }],
    [{ ...login, title: "sshd: builder@pts/3" }],
  ])("is recognised: %j", (parent) => {
    expect(isLoginSshd(parent, 1000)).toBe(true);
  });

  test.each([
    ["another user's", { ...login, uid: 0 }],
    ["the daemon", { ...login, title: "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups" }],
    ["the part with privileges", { ...login, title: "sshd: builder [priv]" }],
    ["a shell", { ...login, comm: "bash", title: "-bash" }],
    ["something that calls itself so", { ...login, comm: "node" }],
    ["init", { ...login, pid: 1 }],
  ])("is not %s", (_what, parent) => {
    expect(isLoginSshd(parent, 1000)).toBe(false);
  });

  test("is left alone where our parent is something else", async () => {
    const killed: number[] = [];
    expect(
      await endOwnLogin(
        process.getuid?.() ?? 0,
        () => process.ppid,
        (pid) => killed.push(pid),
      ),
    ).toBe(false);
    expect(
      await endOwnLogin(
        0,
        () => 999_999_999,
        (pid) => killed.push(pid),
      ),
    ).toBe(false);
    expect(killed).toEqual([]);
  });
});

describe("a parent that is the sshd of our login", () => {
  let folder: string;
  let sshd: ChildProcess;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "fs-login-"));
    await copyFile("/bin/sleep", path.join(folder, "sshd"));
    sshd = spawn(path.join(folder, "sshd"), ["60"], { argv0: "sshd: me@notty", stdio: "ignore" });
    await once(sshd, "spawn");
  });
  afterEach(async () => {
    sshd.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  });
  const uid = process.getuid?.() ?? 0;
  const killed: number[] = [];
  const kill = (pid: number) => void killed.push(pid);

  test("is ended", async () => {
    expect(await endOwnLogin(uid, () => sshd.pid ?? 0, kill)).toBe(true);
    expect(killed.splice(0)).toEqual([sshd.pid]);
  });

  test("is left alone where it is another user's", async () => {
    expect(await endOwnLogin(uid + 1, () => sshd.pid ?? 0, kill)).toBe(false);
    expect(killed).toEqual([]);
  });

  test("is left alone once it is our parent no more: its number may be somebody else's", async () => {
    const parents = [sshd.pid ?? 0, 1];
    expect(await endOwnLogin(uid, () => parents.shift() ?? 1, kill)).toBe(false);
    expect(killed).toEqual([]);
  });

  test("is no failure where it is gone at that moment", async () => {
    const gone = () => {
      throw new Error("ESRCH");
    };
    expect(await endOwnLogin(uid, () => sshd.pid ?? 0, gone)).toBe(false);
  });
});

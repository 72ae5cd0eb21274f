import { describe, expect, test } from "vitest";
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

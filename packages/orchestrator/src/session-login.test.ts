import { resolve } from "node:path";
import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { loginOf, sessionLogin } from "./session-login.ts";

const job = { jump: "build", forwards: "1:a:2" };

describe("what is kept of a session's login", () => {
  it("is what was given, with paths that hold from any folder", () => {
    const login = loginOf({
      ...{ ...job, jumps: "one,two", configFile: "ssh_config", sshOptions: { Port: "2222" } },
      ...{ knownHostsFiles: ["known"], hostKeyCheck: "accept-new", identity: "keys/id" },
    });
    expect(login).toEqual({
      jumps: ["one,two"],
      configFile: resolve("ssh_config"),
      sshOptions: { Port: "2222" },
      knownHostsFiles: [resolve("known")],
      hostKeyCheck: "accept-new",
      identity: { identity: resolve("keys/id") },
    });
    expect(v.parse(sessionLogin, JSON.parse(JSON.stringify(login)))).toEqual(login);
  });

  it("is nothing where nothing was given", () => {
    expect(JSON.stringify(loginOf(job))).toBe("{}");
    expect(JSON.stringify(loginOf({ ...job, identity: async () => Promise.reject() }))).toBe("{}");
  });

  it("leaves names alone: none for no ssh_config, the ssh-agent, a home folder", () => {
    expect(loginOf({ ...job, configFile: "none", identity: "agent" })).toMatchObject({
      configFile: "none",
      identity: { identity: "agent" },
    });
    expect(loginOf({ ...job, identity: "~/.ssh/id" }).identity).toEqual({ identity: "~/.ssh/id" });
  });

  it("tells of an identity that the caller opens what the caller notes", () => {
    const identity = async () => Promise.reject();
    const identityNote = { identity: "card", token: "desk" };
    expect(loginOf({ ...job, identity, identityNote }).identity).toEqual(identityNote);
  });
});

import type { SessionRecord } from "@farside/orchestrator";
import { expect, test } from "vitest";
import { loginOptionsOf } from "./look-again.ts";

const record = {
  jump: "builder@build:2222",
  login: {
    jumps: ["bastion"],
    configFile: "/home/me/other_config",
    sshOptions: { ConnectTimeout: "5", Compression: "no" },
    knownHostsFiles: ["/known"],
    hostKeyCheck: "accept-new",
  },
} as unknown as SessionRecord;

test("a host is looked at by the way that the session went", () => {
  expect(loginOptionsOf(record, {})).toEqual({ jump: "builder@build:2222", ...record.login });
});

test("what is given now takes the place of what the session was given", () => {
  const argv = {
    F: "none",
    o: [["connecttimeout", "9"] as const],
    "known-hosts": "/k",
    "host-key-check": "strict" as const,
  };
  expect(loginOptionsOf(record, argv)).toEqual({
    jump: "builder@build:2222",
    jumps: ["bastion"],
    configFile: "none",
    sshOptions: { connecttimeout: "9", Compression: "no" },
    knownHostsFiles: ["/k"],
    hostKeyCheck: "strict",
  });
});

test("a record of a version that kept nothing of it is enough", () => {
  expect(loginOptionsOf({ jump: "build" } as SessionRecord, {})).toMatchObject({
    jump: "build",
    sshOptions: {},
  });
});

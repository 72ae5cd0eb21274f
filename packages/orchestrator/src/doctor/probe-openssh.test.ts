import { once } from "node:events";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { CodedError } from "@farside/protocol";
import { type Sshd, startSshd } from "@farside/ssh/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type JumpHost, startJumpHost } from "../testing/jump-host.ts";
import type { Check } from "./check.ts";
import { type DiagnoseOptions, diagnose } from "./diagnose.ts";

let host: JumpHost;
let target: Sshd;
beforeAll(async () => {
  host = await startJumpHost(undefined);
  target = await startSshd({ authorizedKeys: [host.sshd.userKey.line] });
  await host.know(target);
});
afterAll(async () => {
  for (const one of [host, target]) await one?.[Symbol.asyncDispose]();
});

const place = ({ user, port }: Sshd) => `${user}@127.0.0.1:${port}`;

async function examine(more: Partial<DiagnoseOptions> = {}, at = host) {
  const checks: Check[] = [];
  const { askHostKey: _, ...options } = at.options({ engine: "openssh", remoteNode: undefined });
  const failure = await diagnose({
    ...options,
    ...{ via: place(target), onCheck: (check: Check) => checks.push(check), ...more },
  });
  const told = checks.map(({ check, outcome }) => `${check} ${outcome}`);
  const failed = checks.filter(({ outcome }) => outcome === "failed");
  return { failure, checks, told, failed, events: options.events };
}

describe("a diagnosis with --engine openssh", () => {
  it("says a line for each thing that engine needs, logs in to the hop, and opens nothing", async () => {
    const { failure, told, checks, events } = await examine({ forwards: ["0:127.0.0.1:9"] });
    expect(failure).toBeUndefined();
    expect(told).toEqual([
      ...["config ok", "identity ok", "login ok", "config warning", "shell ok", "ssh ok", "ssh-agent ok"],
      ...["sshd ok", "sshd ok", "listen ok", "hop ok", "target skipped", "left ok"],
    ]);
    expect(checks.find(({ check }) => check === "ssh")?.text).toMatch(/^OpenSSH_\d+\.\d+.*session-bind/);
    expect(events.filter(({ event }) => event === "sign")).toMatchObject([{ decision: "signed" }]);
    expect(events.map(({ event }) => event)).not.toContain("forward.open");
  });

  it("looks at the jump host alone where no hop is named", async () => {
    const { failure, told } = await examine({ via: [], forwards: [] });
    expect(failure).toBeUndefined();
    expect(told.slice(-5)).toEqual(["ssh ok", "ssh-agent ok", "sshd ok", "sshd ok", "left ok"]);
    const needsVia = await examine({ via: [], forwards: ["0:127.0.0.1:9"] });
    expect(needsVia.failed).toMatchObject([{ check: "config", code: "usage.invalid" }]);
    expect(needsVia.told).toHaveLength(1);
  });

  it("refuses options that this engine can't keep, as a session would", async () => {
    const { failed } = await examine({ remoteNode: "/usr/bin/node" });
    expect(failed).toMatchObject([{ check: "config", code: "usage.invalid" }]);
  });

  it("tells an ssh that is too old, with what to do, and asks the card for nothing behind it", async () => {
    const bin = host.sshd.folder.file("old");
    await mkdir(bin);
    await writeFile(`${bin}/ssh`, "#!/bin/sh\necho OpenSSH_8.4p1 Debian-5 >&2\n");
    await chmod(`${bin}/ssh`, 0o755);
    await using old = await startJumpHost(undefined, { environment: { PATH: `${bin}:/usr/bin:/bin` } });
    await old.know(target);
    const { failure, failed, told, events } = await examine({ forwards: ["0:127.0.0.1:9"] }, old);
    expect(failed).toMatchObject([{ check: "ssh", code: "engine.ssh-too-old", leg: "jump" }]);
    expect(failed[0]?.text).toMatch(/OpenSSH_8\.4p1/);
    expect(failed[0]?.hint).toMatch(/8\.9 or newer/);
    expect(failure).toBeInstanceOf(CodedError);
    expect(told.slice(-8)).toEqual([
      ...["shell ok", "ssh-agent ok", "ssh failed", "sshd skipped", "listen skipped", "hop skipped"],
      ...["target skipped", "left ok"],
    ]);
    expect(events.filter(({ event }) => event === "sign")).toEqual([]);
  });

  it("tells an sshd that forwards no ssh-agent", async () => {
    await using strict = await startJumpHost(undefined, { config: ["AllowAgentForwarding no"] });
    await strict.know(target);
    const { failed } = await examine({}, strict);
    expect(failed).toMatchObject([
      {
        check: "ssh-agent",
        code: "engine.forwarding-refused",
        hint: expect.stringMatching(/AllowAgentForwarding/),
      },
    ]);
  });

  it("goes on after a port that is taken, and a hop whose key is not known", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    await using stranger = await startSshd({ authorizedKeys: [host.sshd.userKey.line] });
    const { failed, events } = await examine({
      ...{ via: place(stranger), forwards: [`${port}:127.0.0.1:9`] },
    });
    expect(failed).toMatchObject([
      { check: "listen", code: "forward.port-in-use", leg: "bind" },
      { check: "hop", code: "host-key.unknown", leg: "hop" },
    ]);
    expect(events.filter(({ event }) => event === "sign")).toEqual([]);
    server.close();
  });
});

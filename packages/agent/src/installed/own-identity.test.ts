import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describeInstalled, type InstalledForward } from "@farside/protocol";
import {
  freePort,
  makeKeyPair,
  type Sshd,
  startSshAgent,
  startSshd,
  temporaryFolder,
} from "@farside/ssh/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BuiltBundle, buildBundle } from "../testing/build-bundle.ts";
import { InstalledUnderTest, keptConfig, keptForward } from "../testing/installed-process.ts";
import { connect, readAll, serveTcp, type TestServer } from "../testing/tcp.ts";
import { withOwnIdentity } from "./own-identity.ts";

let bundle: BuiltBundle;
let echo: TestServer;
let sshd: Sshd;
beforeAll(async () => {
  [bundle, echo, sshd] = await Promise.all([
    buildBundle("installed-agent"),
    serveTcp((socket) => socket.pipe(socket)),
    startSshd(),
  ]);
});
afterAll(async () => {
  for (const each of [bundle, echo, sshd]) await each[Symbol.asyncDispose]();
});

async function answer(port: number): Promise<string> {
  const socket = await connect({ host: "127.0.0.1", port });
  socket.end("hello");
  return (await readAll(socket).catch(() => Buffer.alloc(0))).toString();
}

/** Cuts what is logged in: the hop of the agent. A login that is not root's has a process below sshd's own for it. */
async function cutLogins(): Promise<void> {
  const run = promisify(execFile);
  const { stdout } = await run("pgrep", ["-P", String(sshd.pid)]);
  const logins = stdout.trim().split("\n");
  // Those that have ended meanwhile are no failure.
  await run("pkill", ["-KILL", "-P", logins.join(",")]).catch(() => {});
  await run("kill", ["-KILL", ...logins]).catch(() => {});
}

describe("an installed agent whose hop is logged in to with the host's own ssh-agent", () => {
  test("works unattended; while the ssh-agent is gone, empty or has another key it says so, and then goes on by itself", async () => {
    await using folder = await temporaryFolder();
    const socketPath = folder.file("ssh-agent");
    const port = await freePort();
    const [hostKey] = sshd.hostKeys;
    const hop = { hopId: "h", user: sshd.user, host: sshd.host, port: sshd.port };
    const identity: InstalledForward["identity"] = { kind: "ssh-agent", path: "$OWN_AGENT" };
    const route = [
      {
        ...hop,
        hostKeys: [Buffer.from(hostKey?.publicKey.blob ?? []).toString("base64")],
        fingerprints: [],
      },
    ];
    await using agent = await InstalledUnderTest.put(
      bundle.path,
      keptConfig(keptForward("a", port, echo.port, { route, identity })),
    );
    const state = async () => {
      const { forwards } = await control.peer.request(describeInstalled, {});
      return forwards[0]?.state;
    };
    const fails = (code: string, says: RegExp) =>
      expect
        .poll(state)
        .toMatchObject({ lastError: { code, leg: "hop", message: expect.stringMatching(says) } });

    const first = await startSshAgent(socketPath);
    await first.add(sshd.userKey.path);
    await agent.start({ env: { OWN_AGENT: socketPath } });
    const control = await agent.control();
    expect(await answer(port)).toBe("hello");

    await first[Symbol.asyncDispose]();
    // What is connected needs it no more.
    expect(await answer(port)).toBe("hello");
    await cutLogins();
    await fails("identity.agent-unavailable", /ssh-agent at .*ssh-agent: connect ENOENT/);
    expect(await state()).toMatchObject({ phase: "degraded" });

    await using second = await startSshAgent(socketPath);
    await second.add(sshd.userKey.path);
    // Nobody has to come for that.
    await expect.poll(state).toMatchObject({ phase: "open" });
    expect(await answer(port)).toBe("hello");

    await second.add("-D");
    await cutLogins();
    await fails("identity.agent-unavailable", /has no key/);
    await second.add((await makeKeyPair(folder.file("other"))).path);
    await fails("hop.auth-refused", /keys offered: ssh-ed25519 SHA256:/);
    await second.add(sshd.userKey.path);
    await expect.poll(() => answer(port)).toBe("hello");
    await expect.poll(state).toMatchObject({ phase: "open" });
  }, 90_000);
});

describe("an identity of the host itself", () => {
  test.each([
    [
      "an agent's variable that is not set",
      { kind: "ssh-agent", path: "SSH_AUTH_SOCK" },
      /SSH_AUTH_SOCK is not set/,
    ],
    ["another variable that is not set", { kind: "ssh-agent", path: "$OTHER" }, /OTHER is not set/],
    [
      "an agent that is not there",
      { kind: "ssh-agent", path: "~/agent" },
      /\/nowhere\/agent: connect ENOENT/,
    ],
    ["a key file that is not there", { kind: "key-file", path: "~/key" }, /\/nowhere\/key/],
  ] as const)("that can't be had is an error of the hop: %s", async (_what, identity, says) => {
    const use = () => Promise.reject(new Error("there is nothing to use"));
    const used = withOwnIdentity(identity, { home: "/nowhere", environment: {} }, use);
    await expect(used).rejects.toMatchObject({
      code: expect.stringMatching(/^identity\./),
      leg: "hop",
      message: expect.stringMatching(says),
    });
  });
});

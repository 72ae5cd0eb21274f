import { appendFile, readFile, writeFile } from "node:fs/promises";
import { fingerprint } from "@farside/ssh";
import { makeKeyPair, type Sshd, startSshd } from "@farside/ssh/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { deployAndForward, startSession } from "./deploy-and-forward.ts";
import type { ForwardOptions } from "./forward-options.ts";
import { type BuiltAgent, buildAgent } from "./testing/build-agent.ts";
import { type EchoServer, startEchoServer } from "./testing/echo-server.ts";
import { type JumpHost, startJumpHost } from "./testing/jump-host.ts";
import { sessionFolders } from "./testing/session-folders.ts";
import { boundPort, eventsNamed, exchange } from "./testing/session-probe.ts";

let agent: BuiltAgent;
let echo: EchoServer;
let jump: JumpHost;
let target: Sshd;
beforeAll(async () => {
  agent = await buildAgent();
  echo = await startEchoServer();
});
afterAll(async () => {
  await echo[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
});
beforeEach(async () => {
  jump = await startJumpHost(agent.bundle);
  // The identity of the jump host may log in to the target, too.
  target = await startSshd({ authorizedKeys: [jump.sshd.userKey.line] });
});
afterEach(async () => {
  await target[Symbol.asyncDispose]();
  await jump[Symbol.asyncDispose]();
});

const viaTarget = (more: Partial<ForwardOptions> = {}) =>
  jump.options({
    forwards: `0:127.0.0.1:${echo.port}`,
    via: `${target.user}@127.0.0.1:${target.port}`,
    ...more,
  });

const knownHosts = () => readFile(jump.sshd.folder.file("known_hosts"), "utf8");
const fingerprintOf = async (sshd: Sshd) => {
  return fingerprint(sshd.hostKeys[0]?.publicKey.blob ?? new Uint8Array());
};

/** What a session fails with; it must have signed for nobody behind the jump host, and left nothing. */
async function failureOf(options: ReturnType<JumpHost["options"]>) {
  const session = await startSession(options);
  const { failure, receipt } = await session.closed;
  expect(receipt?.clean).toBe(true);
  expect(eventsNamed(options.events, "sign")).toEqual([]);
  expect(failure?.leg).toBe("hop");
  return failure;
}

describe("a hop of --via", () => {
  it("is logged in to with one signature from here, for all forwards", async () => {
    await jump.know(target);
    const options = viaTarget({ forwards: [`0:127.0.0.1:${echo.port}`, `0:127.0.0.1:${echo.port}`] });
    await using session = await deployAndForward(options);
    expect(await exchange(boundPort(session), "through")).toBe("through");
    const name = `${target.user}@127.0.0.1:${target.port}`;
    expect(eventsNamed(options.events, "sign")).toMatchObject([
      { hop: name, algorithm: "ssh-ed25519", decision: "signed", reason: "declared-destination" },
    ]);
    expect(eventsNamed(options.events, "hop.connected")).toMatchObject([
      { leg: "jump" },
      { leg: "hop", port: target.port, hostKey: await fingerprintOf(target) },
    ]);
    expect(session.forwards.map(({ via }) => via)).toEqual([[name], [name]]);
    expect(await session.close()).toMatchObject({ failure: undefined, receipt: { clean: true } });
  });

  it("may be several: each is dialled from the one before it", async () => {
    await using last = await startSshd({ authorizedKeys: [jump.sshd.userKey.line] });
    await jump.know(target);
    await jump.know(last);
    const options = viaTarget();
    const via = [options.via as string, `${last.user}@127.0.0.1:${last.port}`];
    await using session = await deployAndForward({ ...options, via });
    expect(await exchange(boundPort(session), "far")).toBe("far");
    expect(eventsNamed(options.events, "sign").map(({ decision }) => decision)).toEqual(["signed", "signed"]);
  });

  it("with an unknown host key is refused, with its fingerprint, whatever accept-new says", async () => {
    for (const hostKeyCheck of ["strict", "accept-new"] as const) {
      const before = await knownHosts();
      const failure = await failureOf(viaTarget({ hostKeyCheck }));
      expect(failure?.code).toBe("host-key.unknown");
      expect(failure?.message).toContain(await fingerprintOf(target));
      expect(failure?.message).toContain(`${jump.sshd.user}@127.0.0.1 reports`);
      expect(await knownHosts()).toBe(before);
    }
  });

  it("with a changed host key is refused, with both fingerprints", async () => {
    await jump.know(target, await makeKeyPair(jump.sshd.folder.file("other")));
    const failure = await failureOf(viaTarget({ hostKeyCheck: "ask", askHostKey: async () => true }));
    expect(failure?.code).toBe("host-key.changed");
    expect(failure?.message).toContain(await fingerprintOf(target));
  });

  it("with a revoked host key is refused, also when it is pinned", async () => {
    const [type, key] = target.hostKeys[0]?.line.split(" ") ?? [];
    await appendFile(jump.sshd.folder.file("known_hosts"), `@revoked * ${type} ${key}\n`);
    const pinned = [`127.0.0.1=${await fingerprintOf(target)}`];
    const options = viaTarget({ hostKeyCheck: "ask", askHostKey: async () => true, viaHostKeys: pinned });
    expect((await failureOf(options))?.code).toBe("host-key.revoked");
  });

  it("with a pinned fingerprint needs no known_hosts, and only that key will do", async () => {
    const before = await knownHosts();
    const viaHostKeys = [`127.0.0.1=${await fingerprintOf(target)}`];
    await using session = await deployAndForward(viaTarget({ viaHostKeys }));
    expect(await exchange(boundPort(session), "pinned")).toBe("pinned");
    expect(await knownHosts()).toBe(before);
    await jump.know(target);
    const other = [`127.0.0.1=${await fingerprintOf(jump.sshd)}`];
    expect((await failureOf(viaTarget({ viaHostKeys: other })))?.code).toBe("host-key.changed");
  });

  it("with several keys is known by the fingerprint of any of them, and the refusal names all", async () => {
    const kinds = ["ed25519", "ecdsa-256", "rsa-2048"] as const;
    await using many = await startSshd({ authorizedKeys: [jump.sshd.userKey.line], hostKeys: kinds });
    const prints = many.hostKeys.map(({ publicKey }) => fingerprint(publicKey.blob));
    const via = `${many.user}@127.0.0.1:${many.port}`;
    const stranger = await fingerprintOf(target);
    const pinned = (list: readonly string[]) => ({ via, viaHostKeys: list.map((one) => `127.0.0.1=${one}`) });
    const [ed25519 = "", ecdsa = "", rsa = ""] = prints;
    const logIn = async (given: readonly string[], expected: string) => {
      const options = viaTarget(pinned(given));
      await using _session = await deployAndForward(options);
      expect(eventsNamed(options.events, "hop.connected").at(-1)).toMatchObject({ hostKey: expected });
      expect(eventsNamed(options.events, "sign")).toHaveLength(1);
    };
    await Promise.all([
      ...prints.map((one) => logIn([one], one)),
      logIn([rsa, ecdsa], ecdsa),
      logIn([stranger, rsa], rsa),
    ]);
    const failure = await failureOf(viaTarget(pinned([stranger])));
    expect(failure?.code).toBe("host-key.changed");
    expect(failure?.message).toContain(
      `the host keys ssh-ed25519 ${ed25519}, ecdsa-sha2-nistp256 ${ecdsa}, ssh-rsa ${rsa}, of which none is given`,
    );
  });

  it("is asked about, saying that the jump host reports the key, and remembered", async () => {
    const questions: unknown[] = [];
    const options = viaTarget({
      hostKeyCheck: "ask",
      askHostKey: async (question) => {
        questions.push(question);
        return true;
      },
    });
    await using session = await deployAndForward(options);
    expect(await exchange(boundPort(session), "asked")).toBe("asked");
    expect(questions).toEqual([
      {
        place: { host: "127.0.0.1", port: target.port },
        type: "ssh-ed25519",
        fingerprint: await fingerprintOf(target),
        reportedBy: `${jump.sshd.user}@127.0.0.1`,
      },
    ]);
    expect(await knownHosts()).toContain(`[127.0.0.1]:${target.port} ssh-ed25519 `);
  });

  it("that the operator does not accept is refused", async () => {
    const options = viaTarget({ hostKeyCheck: "ask", askHostKey: async () => false });
    expect((await failureOf(options))?.code).toBe("host-key.declined");
  });

  it("with a key that is known under another name is refused without asking", async () => {
    const [type, key] = target.hostKeys[0]?.line.split(" ") ?? [];
    await appendFile(jump.sshd.folder.file("known_hosts"), `elsewhere ${type} ${key}\n`);
    let asked = 0;
    const askHostKey = async () => {
      asked += 1;
      return true;
    };
    const failure = await failureOf(viaTarget({ hostKeyCheck: "ask", askHostKey }));
    expect(failure).toMatchObject({
      code: "host-key.unknown",
      message: expect.stringContaining("elsewhere"),
    });
    expect(asked).toBe(0);
  });

  it("that refuses our key is named as the leg that failed", async () => {
    await jump.know(target);
    await writeFile(target.folder.file("authorized_keys"), "");
    const options = viaTarget();
    await expect(deployAndForward(options)).rejects.toMatchObject({ code: "hop.auth-refused", leg: "hop" });
  });

  it("takes User, HostName, Port and HostKeyAlias from ssh_config, and ignores a ProxyJump that is the route", async () => {
    const [type, key] = target.hostKeys[0]?.line.split(" ") ?? [];
    await appendFile(jump.sshd.folder.file("known_hosts"), `signing-service ${type} ${key}\n`);
    await appendFile(
      jump.sshd.folder.file("ssh_config"),
      `Host sign
  HostName 127.0.0.1
  Port ${target.port}
  User ${target.user}
  HostKeyAlias signing-service
  ProxyJump ${jump.sshd.user}@127.0.0.1:${jump.sshd.port}
Host elsewhere
  ProxyJump nowhere
Host commanded
  ProxyCommand nc %h %p
`,
    );
    const options = viaTarget({ via: "sign" });
    await using session = await deployAndForward(options);
    expect(await exchange(boundPort(session), "alias")).toBe("alias");
    for (const via of ["elsewhere", "commanded"]) {
      await expect(deployAndForward(viaTarget({ via }))).rejects.toMatchObject({ code: "config.invalid" });
    }
    expect(await sessionFolders(jump.sshd.folder.file("state"))).toEqual([session.name]);
  });
});

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Hop } from "./hop.ts";
import type { PublicKey } from "./identity.ts";
import { SshAgentIdentity } from "./ssh-agent-identity.ts";
import { describeIdentity } from "./testing/describe-identity.ts";
import { failureOf } from "./testing/failure-of.ts";
import { hopOptionsFor } from "./testing/hop-options-for.ts";
import { type KeyPair, makeKeyPair } from "./testing/key-pair.ts";
import { type SshAgent, startSshAgent } from "./testing/ssh-agent.ts";
import { startSshd } from "./testing/sshd.ts";
import { type TcpServer, tcpServer } from "./testing/tcp-server.ts";
import { type TemporaryFolder, temporaryFolder } from "./testing/temporary-folder.ts";
import { encodeString, encodeUint32 } from "./wire.ts";

let folder: TemporaryFolder;
let agent: SshAgent;
let pairs: KeyPair[];

beforeAll(async () => {
  folder = await temporaryFolder();
  agent = await startSshAgent();
  pairs = await Promise.all(
    (["ed25519", "ecdsa-384", "rsa-2048"] as const).map((kind) => makeKeyPair(folder.file(kind), kind)),
  );
  for (const { path } of pairs) await agent.add("-q", path);
});
afterAll(async () => {
  await agent[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const openIdentity = () => SshAgentIdentity.open({ socketPath: agent.socketPath });

describeIdentity("a real ssh-agent", async () => {
  const identity = await openIdentity();
  return { identity, [Symbol.asyncDispose]: () => identity.close() };
});

describe("an ssh-agent", () => {
  test("offers only the keys that are wanted", async () => {
    const [, wanted] = pairs as [KeyPair, KeyPair];
    await using identity = await SshAgentIdentity.open({
      socketPath: agent.socketPath,
      only: [wanted.publicKey.blob],
    });
    expect((await identity.publicKeys()).map(({ type }) => type)).toEqual(["ecdsa-sha2-nistp384"]);
  });

  test("logs in, also with an RSA key", async () => {
    const rsa = pairs[2] as KeyPair;
    await using sshd = await startSshd({ authorizedKeys: [rsa.line] });
    await using identity = await SshAgentIdentity.open({
      socketPath: agent.socketPath,
      only: [rsa.publicKey.blob],
    });
    await using hop = await Hop.connect(await hopOptionsFor(sshd, { identity, requireSignature: true }));
    expect(hop.serverHostKey.length).toBeGreaterThan(0);
  });

  test("signs with a key that is bound to the host (ssh-add -h), and for no other host", async () => {
    const bound = await makeKeyPair(folder.file("bound"));
    await using allowed = await startSshd({ authorizedKeys: [bound.line] });
    await using other = await startSshd({ authorizedKeys: [bound.line] });
    await using own = await startSshAgent();
    const knownHosts = folder.file("known_hosts_of_bound");
    const { writeFile } = await import("node:fs/promises");
    await writeFile(knownHosts, `the-host ${allowed.hostKeys[0]?.line}\n`);
    await own.add("-q", "-H", knownHosts, "-h", "the-host", bound.path);
    await using identity = await SshAgentIdentity.open({ socketPath: own.socketPath });
    await using hop = await Hop.connect(await hopOptionsFor(allowed, { identity }));
    expect(hop.serverHostKey.length).toBeGreaterThan(0);
    const error = await failureOf(hopOptionsFor(other, { identity }).then((options) => Hop.connect(options)));
    expect(error).toMatchObject({ code: "identity.agent-unavailable" });
    expect(error.message).toContain("it refused to sign");
  });

  test("that is not there is identity.agent-unavailable", async () => {
    const error = await failureOf(SshAgentIdentity.open({ socketPath: folder.file("nothing") }));
    expect(error).toMatchObject({ code: "identity.agent-unavailable" });
    expect(error.message).toContain(folder.file("nothing"));
  });

  test("that ends while it is used is identity.agent-unavailable", async () => {
    const own = await startSshAgent();
    await using identity = await SshAgentIdentity.open({ socketPath: own.socketPath });
    await own[Symbol.asyncDispose]();
    expect(await failureOf(identity.publicKeys())).toMatchObject({ code: "identity.agent-unavailable" });
  });
});

describe("something that is no ssh-agent", () => {
  const answers: readonly (readonly [string, Buffer])[] = [
    ["a message that is too long", encodeUint32(300_000)],
    ["an empty message", encodeString("")],
    ["a refusal", encodeString(Buffer.of(5))],
    ["a list that ends early", encodeString(Buffer.concat([Buffer.of(12), encodeUint32(3)]))],
    ["a list of too many keys", encodeString(Buffer.concat([Buffer.of(12), encodeUint32(0xffffffff)]))],
  ];

  test.each(answers)("and sends %s is identity.agent-unavailable", async (_what, answer) => {
    const socketPath = folder.file(`odd-${answer.toString("hex").slice(0, 16)}-${answer.length}`);
    await using server: TcpServer = await tcpServer(
      (socket) => socket.on("data", () => socket.write(answer)),
      {
        path: socketPath,
      },
    );
    await using identity = await SshAgentIdentity.open({ socketPath });
    expect(await failureOf(identity.publicKeys())).toMatchObject({ code: "identity.agent-unavailable" });
    expect(server.port).toBe(0);
  });

  test("and signs with another algorithm than asked is refused", async () => {
    const socketPath = folder.file("sha1");
    const sha1 = encodeString(Buffer.concat([encodeString("ssh-rsa"), encodeString("value")]));
    await using server = await tcpServer(
      (socket) => socket.on("data", () => socket.write(encodeString(Buffer.concat([Buffer.of(14), sha1])))),
      { path: socketPath },
    );
    await using identity = await SshAgentIdentity.open({ socketPath });
    const data = encodeString("session");
    const error = await failureOf(
      identity.sign({
        publicKey: (pairs[2] as KeyPair).publicKey as PublicKey,
        algorithm: "rsa-sha2-256",
        data,
        proof: { hostKey: data, signature: data },
      }),
    );
    expect(error.message).toContain("it signed with ssh-rsa instead of rsa-sha2-256");
    expect(server.port).toBe(0);
  });
});

import { generateKeyPairSync } from "node:crypto";
import type { Connection } from "ssh2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Hop } from "./hop.ts";
import { publicKeyBlob } from "./public-key.ts";
import { hopOptionsFor } from "./testing/hop-options-for.ts";
import { silentIdentity } from "./testing/silent-identity.ts";
import { anyHostKey, letAnybodyIn, sendPayload, ssh2Server } from "./testing/ssh2-server.ts";
import { type Sshd, startSshd } from "./testing/sshd.ts";
import { encodeString, encodeUint32 } from "./wire.ts";

/** RFC 4250, 4.1.2. */
const globalRequest = 80;
const channelOpen = 90;

let sshd: Sshd;
beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
});

const connect = async (port: number) =>
  Hop.connect(
    await hopOptionsFor(sshd, { port, hostKeys: anyHostKey, identity: silentIdentity([sshd.userKey]) }),
  );

/** What the client answers: the names of the messages, in the order in which they come. */
function answersOf(connection: Connection): string[] {
  const seen: string[] = [];
  const { _protocol } = connection as unknown as { _protocol: { _handlers: Record<string, unknown> } };
  for (const name of ["CHANNEL_OPEN_CONFIRMATION", "CHANNEL_OPEN_FAILURE", "REQUEST_FAILURE"])
    _protocol._handlers[name] = () => seen.push(name);
  const asked = _protocol._handlers["GLOBAL_REQUEST"] as (...args: unknown[]) => void;
  _protocol._handlers["GLOBAL_REQUEST"] = (protocol: unknown, name: string, ...rest: unknown[]) => {
    seen.push(name);
    if (name.startsWith("keepalive")) asked(protocol, name, ...rest);
  };
  return seen;
}

describe("a channel that a host opens by itself", () => {
  const open = (type: string, ...fields: Buffer[]) =>
    Buffer.concat([
      Buffer.of(channelOpen),
      encodeString(type),
      ...[7, 1_000_000, 32_768].map(encodeUint32),
      ...fields,
    ]);
  const address = [encodeString("127.0.0.1"), encodeUint32(22)];

  const socket = (path: string) =>
    open("forwarded-streamlocal@openssh.com", encodeString(path), encodeString(""));

  test.each<[string, Buffer]>([
    ["to a forwarded port", open("forwarded-tcpip", ...address, ...address)],
    ["to a forwarded socket", socket("/x")],
    // ssh2 keeps what was asked for in a plain object, where these are found without having been put there.
    ["to a forwarded socket called constructor", socket("constructor")],
    ["to a forwarded socket called __proto__", socket("__proto__")],
    ["to an agent", open("auth-agent@openssh.com")],
    ["to an X server", open("x11", ...address)],
    ["of a session", open("session")],
    ["of no known type", open("tun@openssh.com", encodeUint32(1), encodeUint32(1))],
  ])("%s is refused", async (_, payload) => {
    let answers: string[] = [];
    await using server = await ssh2Server((connection) => {
      connection.on("authentication", letAnybodyIn);
      connection.on("ready", () => {
        answers = answersOf(connection);
        for (let count = 0; count < 3; count += 1) sendPayload(connection, payload);
      });
      connection.on("tcpip", (accept) => accept());
    });
    await using hop = await connect(server.port);
    // Its answer comes behind those to the others.
    await hop.dial("127.0.0.1", 1);
    expect(answers).toEqual(Array(3).fill("CHANNEL_OPEN_FAILURE"));
  });
});

describe("a host that announces its host keys", () => {
  const key = publicKeyBlob(generateKeyPairSync("ed25519").publicKey);
  const announcement = Buffer.concat([
    Buffer.of(globalRequest),
    encodeString("hostkeys-00@openssh.com"),
    Buffer.of(0),
    ...Array.from({ length: 600 }, () => encodeString(key)),
  ]);

  test("and announces them again and again is cut off: each costs us 20 ms and what is kept until the answer", async () => {
    await using server = await ssh2Server((connection) => {
      connection.on("authentication", letAnybodyIn);
      connection.on("ready", () => {
        answersOf(connection);
        for (let count = 0; count < 50; count += 1) sendPayload(connection, announcement);
      });
    });
    await using hop = await connect(server.port);
    const lost = await hop.closed;
    expect(lost).toMatchObject({ code: "hop.lost" });
    expect(lost?.message).toContain("announces its host keys again and again");
  });

  test("twice, as none does, is let go on, and asked once to prove them", async () => {
    let answers: string[] = [];
    await using server = await ssh2Server((connection) => {
      connection.on("authentication", letAnybodyIn);
      connection.on("ready", () => {
        answers = answersOf(connection);
        for (let count = 0; count < 2; count += 1) sendPayload(connection, announcement);
      });
      connection.on("tcpip", (accept) => accept());
    });
    await using hop = await connect(server.port);
    await hop.dial("127.0.0.1", 1);
    expect(answers).toEqual(["hostkeys-prove-00@openssh.com"]);
  });
});

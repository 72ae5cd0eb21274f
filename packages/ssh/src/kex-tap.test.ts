import { PassThrough } from "node:stream";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Hop } from "./hop.ts";
import type { Identity, SignRequest } from "./identity.ts";
import { KexTap } from "./kex-tap.ts";
import { verifySignature } from "./ssh-signature.ts";
import { hopOptionsFor } from "./testing/hop-options-for.ts";
import { type Sshd, startSshd } from "./testing/sshd.ts";
import { encodeString, encodeUint32, WireReader } from "./wire.ts";

const hostKeys = ["ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048"] as const;
const exchanges = [
  "curve25519-sha256",
  "ecdh-sha2-nistp256",
  "ecdh-sha2-nistp521",
  "diffie-hellman-group14-sha256",
  "diffie-hellman-group16-sha512",
] as const;
const signatureAlgorithms = {
  ed25519: "ssh-ed25519",
  "ecdsa-256": "ecdsa-sha2-nistp256",
  "ecdsa-384": "ecdsa-sha2-nistp384",
  "ecdsa-521": "ecdsa-sha2-nistp521",
  "rsa-2048": "rsa-sha2-512",
} as const;

describe("the proof of a real sshd", () => {
  let sshd: Sshd;
  beforeAll(async () => {
    sshd = await startSshd({ hostKeys });
  });
  afterAll(async () => {
    await sshd[Symbol.asyncDispose]();
  });

  const cases = [
    ...exchanges.map((kex) => [kex, "ed25519"] as const),
    ...hostKeys.slice(1).map((kind) => ["curve25519-sha256", kind] as const),
  ];
  test.each(cases)("verifies for %s and a host key of %s", async (kex, kind) => {
    const options = await hopOptionsFor(sshd);
    const requests: SignRequest[] = [];
    await using hop = await Hop.connect({
      ...options,
      identity: recording(options.identity, requests),
      algorithms: { kex: [kex], hostKeys: [signatureAlgorithms[kind]] },
    });
    const [request] = requests;
    expect(requests).toHaveLength(1);
    const { proof, data } = request as SignRequest;
    const sessionId = new WireReader(data).string();
    expect(Buffer.from(proof.hostKey)).toEqual(Buffer.from(hop.serverHostKey));
    expect(verifySignature(proof.hostKey, sessionId, proof.signature)).toBe(true);
    const otherSession = Buffer.from(sessionId);
    otherSession.writeUInt8(otherSession.readUInt8(0) ^ 1, 0);
    expect(verifySignature(proof.hostKey, otherSession, proof.signature)).toBe(false);
  });

  test("holds through later key exchanges, which show the same key again", async () => {
    await using rekeying = await startSshd({ config: ["RekeyLimit 64K"] });
    await using hop = await Hop.connect(await hopOptionsFor(rekeying));
    const command = await hop.exec("head -c 2000000 /dev/zero");
    let received = 0;
    for await (const chunk of command) received += chunk.length;
    expect(received).toBe(2_000_000);
    expect(((await rekeying.log()).match(/rekeying/gu) ?? []).length).toBeGreaterThan(1);
  });
});

describe("KexTap", () => {
  const hostKey = Buffer.from("host key");
  const signature = Buffer.from("signature");
  const reply = Buffer.concat([
    Buffer.of(31),
    encodeString(hostKey),
    encodeString("f"),
    encodeString(signature),
  ]);
  const newKeys = Buffer.of(21);
  const handshake = (...payloads: Buffer[]) =>
    Buffer.concat([Buffer.from("hello\r\nSSH-2.0-Test\r\n"), ...payloads.map(packet)]);

  test("captures the same proof however the bytes are cut", () => {
    const bytes = handshake(Buffer.of(2, 0, 0, 0, 0), reply, newKeys);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 20 }), (cuts) => {
        const { tap, violations } = tapped(split(bytes, cuts));
        expect(tap.ident).toBe("SSH-2.0-Test");
        expect(tap.proof).toEqual({ hostKey, signature });
        expect(violations).toEqual([]);
      }),
    );
  });

  test("is deaf to whatever comes after NEWKEYS", () => {
    const other = Buffer.concat([Buffer.of(31), encodeString("x"), encodeString("f"), encodeString("y")]);
    const { tap } = tapped([handshake(reply, newKeys, other), handshake(other)]);
    expect(tap.proof).toEqual({ hostKey, signature });
  });

  test("never throws, and never keeps more than a packet, whatever comes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (chunks) => {
        const { violations } = tapped([
          Buffer.from("SSH-2.0-x\n"),
          ...chunks.map((chunk) => Buffer.from(chunk)),
        ]);
        expect(violations.length).toBeLessThanOrEqual(1);
      }),
    );
  });

  test.each([
    ["a greeting without end", Buffer.alloc(20_000, "x"), "more than 16384 bytes before its identification"],
    [
      "a packet that is too long",
      Buffer.concat([Buffer.from("SSH-2.0-x\n"), encodeUint32(40_000), Buffer.of(0)]),
      "a packet of 40000 bytes",
    ],
    [
      "packets without end",
      handshake(...Array.from({ length: 65 }, () => Buffer.of(2))),
      "more than 64 packets",
    ],
  ])("reports %s once and stops listening", (_what, bytes, expected) => {
    const { violations, stream } = tapped([bytes, bytes]);
    expect(violations).toEqual([expected]);
    expect(stream.listenerCount("data")).toBe(0);
  });

  function packet(payload: Buffer): Buffer {
    const padding = 4;
    return Buffer.concat([
      encodeUint32(1 + payload.length + padding),
      Buffer.of(padding),
      payload,
      Buffer.alloc(padding),
    ]);
  }

  function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
    const at = [0, ...cuts, bytes.length].sort((a, b) => a - b);
    return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
  }

  function tapped(chunks: readonly Buffer[]) {
    const stream = new PassThrough().pause();
    const violations: string[] = [];
    const tap = new KexTap(stream, (what) => violations.push(what));
    for (const chunk of chunks) stream.emit("data", chunk);
    return { tap, violations, stream };
  }
});

/** `identity`, which also writes down what it signs. */
function recording(identity: Identity, requests: SignRequest[]): Identity {
  return {
    kind: identity.kind,
    publicKeys: (options) => identity.publicKeys(options),
    ready: async () => {},
    sign: (request) => {
      requests.push(request);
      return identity.sign(request);
    },
    close: () => identity.close(),
    [Symbol.asyncDispose]: () => identity.close(),
  };
}

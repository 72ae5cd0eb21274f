import { randomBytes } from "node:crypto";
import type { SignParams } from "@farside/protocol";
import { encodeString } from "@farside/ssh/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_SIGNATURES_PER_MINUTE } from "./destination-guard.ts";
import {
  data,
  guardFor,
  HOSTBOUND,
  hostKey,
  otherHostKey,
  ourRsa,
  proof,
  request,
  sid,
  target,
} from "./testing/guarded-target.ts";
import { makeTestKey } from "./testing/userauth.ts";

const evilKey = makeTestKey("ssh-ed25519");
const otherSid = randomBytes(32);
const otherData = data({ sessionId: otherSid });
const otherProof = otherHostKey.signatureOver(otherSid);
const flip = (bytes: Uint8Array, at: number) => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));
const shortSid = randomBytes(19);
const longSid = randomBytes(65);

/** What a hostile jump host may try. The word is the check that stops it. */
const attacks: [name: string, reason: string, request: SignParams][] = [
  [
    "another host with its own valid proof",
    "host-key",
    request({ data: otherData, hostKey: otherHostKey.blob, serverSignature: otherProof }),
  ],
  ["another connection's data with the target's proof", "server-signature", request({ data: otherData })],
  [
    "another connection's data and proof under the target's key",
    "server-signature",
    request({ data: otherData, serverSignature: otherProof }),
  ],
  [
    "the target's signature over another message",
    "server-signature",
    request({ serverSignature: hostKey.signatureOver(randomBytes(32)) }),
  ],
  ["another user", "user", request({ data: data({ user: "root" }) })],
  ["a user name with a NUL behind it", "user", request({ data: data({ user: "signer\0" }) })],
  ["a user name that differs in case", "user", request({ data: data({ user: "Signer" }) })],
  ["a user name of false UTF-8", "user", request({ data: data({ user: Buffer.of(0xff, 0xfe) }) })],
  ["no user", "user", request({ data: data({ user: "" }) })],
  [
    "an attacker's host key and proof",
    "host-key",
    request({ hostKey: evilKey.blob, serverSignature: evilKey.signatureOver(sid) }),
  ],
  [
    "the target's host key with an attacker's signature",
    "server-signature",
    request({ serverSignature: evilKey.signatureOver(sid) }),
  ],
  [
    "a flipped bit in the proof",
    "server-signature",
    request({ serverSignature: flip(proof, proof.length - 1) }),
  ],
  [
    "a proof with bytes behind it",
    "server-signature",
    request({ serverSignature: Buffer.concat([proof, Buffer.of(0)]) }),
  ],
  ["an empty proof", "server-signature", request({ serverSignature: Buffer.alloc(0) })],
  [
    "a proof by an algorithm of another key type",
    "host-algorithm",
    request({ serverSignature: Buffer.concat([encodeString("rsa-sha2-512"), proof.subarray(15)]) }),
  ],
  [
    "a proof by an algorithm named __proto__",
    "host-algorithm",
    request({ serverSignature: Buffer.concat([encodeString("__proto__"), proof.subarray(15)]) }),
  ],
  ["an empty host key", "host-key", request({ hostKey: Buffer.alloc(0) })],
  [
    "the host key with bytes behind it",
    "host-key",
    request({ hostKey: Buffer.concat([hostKey.blob, Buffer.of(0)]) }),
  ],
  ["random data", "not-userauth", request({ data: randomBytes(200) })],
  ["no data", "format", request({ data: Buffer.alloc(0) })],
  ["too much data", "format", request({ data: Buffer.alloc(16 * 1024 + 1) })],
  ["data that is no bytes", "format", request({ data: "x" as unknown as Uint8Array })],
  ["a proof that is no bytes", "format", request({ serverSignature: null as unknown as Uint8Array })],
  ["a SHA-256 digest to sign", "not-userauth", request({ data: randomBytes(32) })],
  [
    "an SSHSIG (a signature for git or a file)",
    "not-userauth",
    request({
      data: Buffer.concat([
        Buffer.from("SSHSIG"),
        encodeString("git"),
        encodeString(""),
        encodeString("sha512"),
        encodeString(randomBytes(64)),
      ]),
    }),
  ],
  ["bytes behind the request", "not-userauth", request({ data: data({ tail: Buffer.from("x") }) })],
  ["a request that is cut short", "not-userauth", request({ data: data().subarray(0, -1) })],
  ["another message number", "not-userauth", request({ data: data({ message: 51 }) })],
  ["the form without a signature", "not-userauth", request({ data: data({ hasSignature: 0 }) })],
  ["a false boolean", "not-userauth", request({ data: data({ hasSignature: 2 }) })],
  ["hostbased authentication", "method", request({ data: data({ method: "hostbased" }) })],
  ["another method of the same shape", "method", request({ data: data({ method: "publickey\0" }) })],
  ["another service", "service", request({ data: data({ service: "ssh-userauth" }) })],
  [
    "a key that is not ours",
    "public-key",
    request({ data: data({ publicKey: evilKey.blob, algorithm: "ssh-ed25519" }) }),
  ],
  ["SHA-1", "algorithm", request({ data: data({ algorithm: "ssh-rsa", publicKey: ourRsa.blob }) })],
  ["an algorithm of another key type", "algorithm", request({ data: data({ algorithm: "rsa-sha2-256" }) })],
  ["an algorithm named __proto__", "algorithm", request({ data: data({ algorithm: "__proto__" }) })],
  ["an algorithm named constructor", "algorithm", request({ data: data({ algorithm: "constructor" }) })],
  [
    "the hostbound form with another host key",
    "bound-host-key",
    request({ data: data({ method: HOSTBOUND, tail: encodeString(otherHostKey.blob) }) }),
  ],
  ["the hostbound form without a host key", "not-userauth", request({ data: data({ method: HOSTBOUND }) })],
  [
    "the plain form with a host key behind it",
    "not-userauth",
    request({ data: data({ tail: encodeString(hostKey.blob) }) }),
  ],
  [
    "a session identifier that is too short",
    "session-id",
    request({ data: data({ sessionId: shortSid }), serverSignature: hostKey.signatureOver(shortSid) }),
  ],
  [
    "a session identifier that is too long",
    "session-id",
    request({ data: data({ sessionId: longSid }), serverSignature: hostKey.signatureOver(longSid) }),
  ],
  ["a hop that was not declared", "undeclared-hop", request({ hopId: "hop-2" })],
  ["a hop named __proto__", "undeclared-hop", request({ hopId: "__proto__" })],
];

describe("the destination guard refuses", () => {
  it.each(attacks)("%s (%s)", (_, reason, attack) => {
    const { guard, decisions } = guardFor(target);
    const decision = guard.decide(attack);
    expect([decision.decision, decision.reason]).toEqual(["refused", reason]);
    expect(decisions).toEqual([decision]);
  });

  it("a second signature for a connection, also in another form, by another key or for another hop", () => {
    const twin = { ...target, hopId: "hop-2" };
    const { guard } = guardFor(target, twin);
    expect(guard.decide(request()).decision).toBe("signed");
    const again = [
      request(),
      request({ data: data({ method: HOSTBOUND, tail: encodeString(hostKey.blob) }) }),
      request({ data: data({ algorithm: "rsa-sha2-512", publicKey: ourRsa.blob }) }),
      request({ hopId: "hop-2" }),
    ];
    expect(again.map((attack) => guard.decide(attack).reason)).toEqual(Array(4).fill("replay"));
  });

  it("a second signature for a connection however many others came since", () => {
    const { guard, clock } = guardFor(target);
    expect(guard.decide(request()).decision).toBe("signed");
    for (let n = 0; n < 300; n += 1) {
      clock.now += 6_000;
      const sessionId = randomBytes(32);
      const serverSignature = hostKey.signatureOver(sessionId);
      expect(guard.decide(request({ data: data({ sessionId }), serverSignature })).decision).toBe("signed");
    }
    clock.now += 60_000;
    expect(guard.decide(request()).reason).toBe("replay");
  });

  it("the hop of another forward its user, its key or its host key", () => {
    const other = {
      ...target,
      hopId: "hop-2",
      user: "root",
      hostKeys: [otherHostKey.blob],
      publicKeys: [ourRsa],
    };
    const { guard } = guardFor(target, other);
    expect(guard.decide(request({ hopId: "hop-2" })).reason).toBe("user");
    expect(guard.decide(request({ hopId: "hop-2", data: data({ user: "root" }) })).reason).toBe("public-key");
  });

  it("the eleventh signature of a hop within a minute, and counts no refusals", () => {
    const { guard, clock } = guardFor(target, { ...target, hopId: "hop-2" });
    const fresh = (hopId = "hop-1") => {
      const sessionId = randomBytes(32);
      return request({ hopId, data: data({ sessionId }), serverSignature: hostKey.signatureOver(sessionId) });
    };
    guard.decide(request({ data: randomBytes(9) }));
    for (let n = 0; n < MAX_SIGNATURES_PER_MINUTE; n += 1) {
      clock.now += 5_000;
      expect(guard.decide(fresh()).decision).toBe("signed");
    }
    expect(guard.decide(fresh()).reason).toBe("budget");
    expect(guard.decide(fresh("hop-2")).decision).toBe("signed");
    clock.now = 65_001;
    expect(guard.decide(fresh()).decision).toBe("signed");
    expect(guard.decide(fresh()).reason).toBe("budget");
  });

  it("to ready the identity for an undeclared hop, and more often than for ten signatures a minute, which it does not cost", () => {
    const { guard, clock } = guardFor(target);
    expect(guard.readyFault("hop-2")).toBe("undeclared-hop");
    for (let asked = 0; asked < MAX_SIGNATURES_PER_MINUTE; asked += 1)
      expect(guard.readyFault("hop-1")).toBeUndefined();
    expect(guard.readyFault("hop-1")).toBe("budget");
    expect(guard.decide(request()).decision).toBe("signed");
    clock.now += 60_000;
    expect(guard.readyFault("hop-1")).toBeUndefined();
  });

  it("whatever differs in one byte, lacks one or has one more", () => {
    const good = request();
    const { guard } = guardFor(target);
    const field = fc.constantFrom("data" as const, "hostKey" as const, "serverSignature" as const);
    const change = fc.constantFrom("flip", "drop", "add");
    fc.assert(
      fc.property(field, change, fc.nat(), fc.integer({ min: 1, max: 255 }), (name, how, position, value) => {
        const bytes = [...good[name]];
        const at = position % bytes.length;
        if (how === "flip") bytes[at] = (bytes[at] ?? 0) ^ value;
        else if (how === "drop") bytes.splice(at, 1);
        else bytes.splice(at, 0, value);
        if (Buffer.from(bytes).equals(good[name])) return;
        expect(guard.decide({ ...good, [name]: Uint8Array.from(bytes) }).decision).toBe("refused");
      }),
      { numRuns: 3_000 },
    );
    expect(guard.decide(good).decision).toBe("signed");
  });
});

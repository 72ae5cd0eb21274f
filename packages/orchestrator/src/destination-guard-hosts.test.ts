import { randomBytes } from "node:crypto";
import { encodeString } from "@farside/ssh/wire";
import { describe, expect, it } from "vitest";
import {
  data,
  guardFor,
  HOSTBOUND,
  hostKey,
  otherHostKey,
  ourP256,
  ourRsa,
  request,
  sid,
  target,
} from "./testing/guarded-target.ts";
import { makeTestKey, type TestKeyType } from "./testing/userauth.ts";

describe("the destination guard accepts", () => {
  it("a publickey request for the declared user, key and host", () => {
    const { guard, decisions } = guardFor(target);
    const decision = guard.decide(request());
    expect(decision).toMatchObject({
      decision: "signed",
      algorithm: ourP256.type,
      publicKey: ourP256,
      hop: target,
    });
    expect(decisions).toEqual([decision]);
  });

  it("its hostbound form", () => {
    const { guard } = guardFor(target);
    const tail = encodeString(hostKey.blob);
    expect(guard.decide(request({ data: data({ method: HOSTBOUND, tail }) })).decision).toBe("signed");
  });

  it.each(["rsa-sha2-256", "rsa-sha2-512"])("%s of an RSA key", (algorithm) => {
    const { guard } = guardFor(target);
    expect(guard.decide(request({ data: data({ algorithm, publicKey: ourRsa.blob }) })).decision).toBe(
      "signed",
    );
  });

  const hostTypes: [TestKeyType, string][] = [
    ["ssh-ed25519", "ssh-ed25519"],
    ["ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"],
    ["ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"],
    ["ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"],
    ["ssh-rsa", "rsa-sha2-256"],
    ["ssh-rsa", "rsa-sha2-512"],
  ];
  it.each(hostTypes)("a host that proves itself with a %s key and %s", (type, algorithm) => {
    const host = makeTestKey(type);
    const { guard } = guardFor({ ...target, hostKeys: [otherHostKey.blob, host.blob] });
    // Many, as the numbers of ECDSA differ in length.
    for (let n = 0; n < 9; n += 1) {
      const sessionId = randomBytes(32);
      const serverSignature = host.signatureOver(sessionId, algorithm);
      const decision = guard.decide(
        request({ data: data({ sessionId }), hostKey: host.blob, serverSignature }),
      );
      expect(decision.decision).toBe("signed");
    }
  });

  it("but not a host that proves itself with SHA-1", () => {
    const host = makeTestKey("ssh-rsa");
    const { guard } = guardFor({ ...target, hostKeys: [host.blob] });
    const serverSignature = host.signatureOver(sid, "ssh-rsa");
    expect(guard.decide(request({ hostKey: host.blob, serverSignature })).reason).toBe("host-algorithm");
  });

  it("and hands out a copy of the bytes it judged", () => {
    const { guard } = guardFor(target);
    const params = request();
    const decision = guard.decide(params);
    const before = Buffer.from(params.data);
    params.data.fill(0);
    expect(decision.decision === "signed" && before.equals(decision.data)).toBe(true);
  });
});

describe("host keys that were declared but are no plain keys", () => {
  it("are refused by type or form", () => {
    const cases = [
      [Buffer.concat([encodeString("ssh-dss"), encodeString("x")]), "host-key-format"],
      [
        Buffer.concat([encodeString("ssh-ed25519-cert-v01@openssh.com"), encodeString("x")]),
        "host-key-format",
      ],
      [Buffer.concat([encodeString("ssh-ed25519"), encodeString("short")]), "host-key-format"],
      [
        Buffer.concat([
          encodeString("ssh-rsa"),
          encodeString(Buffer.of(0, 3)),
          encodeString(Buffer.of(0, 0x80)),
        ]),
        "host-key-format",
      ],
      [
        Buffer.concat([encodeString("ecdsa-sha2-nistp256"), encodeString("nistp384"), encodeString("x")]),
        "host-key-format",
      ],
      [Buffer.alloc(2), "host-key-format"],
    ] as const;
    for (const [blob, reason] of cases) {
      const { guard } = guardFor({ ...target, hostKeys: [blob] });
      expect(guard.decide(request({ hostKey: blob })).reason).toBe(reason);
    }
  });
});

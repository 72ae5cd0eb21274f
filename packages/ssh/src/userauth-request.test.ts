import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  encodeUserauthRequest,
  isPublicKeyMethod,
  parseUserauthRequest,
  type UserauthFields,
} from "./userauth-request.ts";
import { encodeString } from "./wire.ts";

const plain: UserauthFields = {
  sessionId: Uint8Array.from({ length: 32 }, (_, index) => index),
  user: "signér",
  algorithm: "ssh-ed25519",
  publicKey: Uint8Array.of(1, 2, 3),
};
const bound: UserauthFields = { ...plain, hostKey: Uint8Array.of(4, 5) };

describe("parseUserauthRequest", () => {
  test.each([
    ["plain", plain, "publickey"],
    ["host-bound", bound, "publickey-hostbound-v00@openssh.com"],
  ] as const)("reads the %s form that encodeUserauthRequest wrote", (_form, written, method) => {
    const { hostKey, ...read } = parseUserauthRequest(encodeUserauthRequest(written));
    expect(read).toEqual({
      sessionId: Buffer.from(written.sessionId),
      user: Buffer.from(written.user),
      service: Buffer.from("ssh-connection"),
      method: Buffer.from(method),
      algorithm: written.algorithm,
      publicKey: Buffer.from(written.publicKey),
    });
    expect(hostKey).toEqual(written.hostKey && Buffer.from(written.hostKey));
    expect(isPublicKeyMethod(read.method)).toBe(true);
  });

  test("throws a RangeError on any other bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(() => parseUserauthRequest(bytes)).toThrow(RangeError);
      }),
    );
  });

  test("throws a RangeError when it is cut anywhere, or goes on", () => {
    for (const written of [plain, bound]) {
      const bytes = encodeUserauthRequest(written);
      for (let length = 0; length < bytes.length; length += 1)
        expect(() => parseUserauthRequest(bytes.subarray(0, length))).toThrow(RangeError);
      expect(() => parseUserauthRequest(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(RangeError);
    }
  });

  test("takes a host key with the host-bound method only, and there always", () => {
    const hostKey = encodeString(Uint8Array.of(4, 5));
    expect(() => parseUserauthRequest(Buffer.concat([encodeUserauthRequest(plain), hostKey]))).toThrow(
      RangeError,
    );
    const without = encodeUserauthRequest(bound).subarray(0, -hostKey.length);
    expect(() => parseUserauthRequest(without)).toThrow(RangeError);
  });

  test("refuses a question about a key, another message and an algorithm that is not ASCII", () => {
    const bytes = encodeUserauthRequest(plain);
    const flagAt = bytes.indexOf("publickey") + "publickey".length;
    const changed = (at: number, value: number) => {
      const copy = Buffer.from(bytes);
      copy.writeUInt8(value, at);
      return copy;
    };
    expect(() => parseUserauthRequest(changed(flagAt, 0))).toThrow("a question about a key");
    expect(() => parseUserauthRequest(changed(36, 5))).toThrow("not a userauth request");
    expect(() => parseUserauthRequest(encodeUserauthRequest({ ...plain, algorithm: "é" }))).toThrow(
      RangeError,
    );
  });

  test("refuses the data of an SSHSIG, which signs files with the same key", () => {
    const sshsig = Buffer.concat([
      Buffer.from("SSHSIG"),
      ...["git", "", "sha512", "hash"].map((field) => encodeString(field)),
    ]);
    expect(() => parseUserauthRequest(sshsig)).toThrow(RangeError);
  });
});

test.each(["", "publicke", "publickey\0", "password", "hostbased", "Publickey"])(
  "%j is no publickey method",
  (name) => {
    expect(isPublicKeyMethod(Buffer.from(name))).toBe(false);
  },
);

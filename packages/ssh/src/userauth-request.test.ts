import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeUserauthRequest, parseUserauthRequest, type UserauthRequest } from "./userauth-request.ts";
import { encodeString } from "./wire.ts";

const request: UserauthRequest = {
  sessionId: Uint8Array.from({ length: 32 }, (_, index) => index),
  user: "signér",
  service: "ssh-connection",
  method: "publickey",
  algorithm: "ssh-ed25519",
  publicKey: Uint8Array.of(1, 2, 3),
  hostKey: undefined,
};
const bound: UserauthRequest = {
  ...request,
  method: "publickey-hostbound-v00@openssh.com",
  hostKey: Uint8Array.of(4, 5),
};

describe("parseUserauthRequest", () => {
  test.each([request, bound])("reads what encodeUserauthRequest wrote: $method", (written) => {
    expect(parseUserauthRequest(encodeUserauthRequest(written))).toEqual(written);
  });

  test("throws a RangeError on any other bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(() => parseUserauthRequest(bytes)).toThrow(RangeError);
      }),
    );
  });

  test("throws a RangeError when it is cut anywhere, or goes on", () => {
    for (const written of [request, bound]) {
      const bytes = encodeUserauthRequest(written);
      for (let length = 0; length < bytes.length; length += 1)
        expect(() => parseUserauthRequest(bytes.subarray(0, length))).toThrow(RangeError);
      expect(() => parseUserauthRequest(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(RangeError);
    }
  });

  test.each([
    ["a session identifier that is too short", { sessionId: new Uint8Array(19) }],
    ["a session identifier that is too long", { sessionId: new Uint8Array(65) }],
    ["another method", { method: "password" as "publickey" }],
    ["the host-bound method without a host key", { method: "publickey-hostbound-v00@openssh.com" as const }],
    ["a plain method with a host key", { hostKey: Uint8Array.of(1) }],
    ["an algorithm that is not ASCII", { algorithm: "é" }],
  ])("refuses %s", (_what, change) => {
    expect(() => parseUserauthRequest(encodeUserauthRequest({ ...request, ...change }))).toThrow(RangeError);
  });

  test("refuses a question about a key, another message and a user name that is not UTF-8", () => {
    const bytes = encodeUserauthRequest(request);
    const flagAt = bytes.indexOf("publickey") + "publickey".length;
    const changed = (at: number, value: number) => {
      const copy = Buffer.from(bytes);
      copy.writeUInt8(value, at);
      return copy;
    };
    expect(() => parseUserauthRequest(changed(flagAt, 0))).toThrow("a question about a key");
    expect(() => parseUserauthRequest(changed(36, 5))).toThrow("not a userauth request");
    expect(() => parseUserauthRequest(changed(bytes.indexOf("signér"), 0xff))).toThrow("not UTF-8");
  });

  test("refuses the data of an SSHSIG, which signs files with the same key", () => {
    const sshsig = Buffer.concat([
      Buffer.from("SSHSIG"),
      ...["git", "", "sha512", "hash"].map((field) => encodeString(field)),
    ]);
    expect(() => parseUserauthRequest(sshsig)).toThrow(RangeError);
  });
});

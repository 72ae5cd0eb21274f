import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { fingerprint } from "./fingerprint.ts";
import { PinnedHostKeys } from "./pinned-host-keys.ts";
import { publicKeyBlob } from "./public-key.ts";
import { failureOf } from "./testing/failure-of.ts";

const pinned = publicKeyBlob(generateKeyPairSync("ed25519").publicKey);
const other = publicKeyBlob(generateKeyPairSync("ed25519").publicKey);
const place = { host: "sign", port: 22 };

test("accepts a pinned key and refuses every other with its fingerprint", async () => {
  const hostKeys = new PinnedHostKeys([pinned]);
  expect(hostKeys.keyTypes()).toEqual(["ssh-ed25519"]);
  await expect(hostKeys.verify(pinned, place)).resolves.toBeUndefined();
  const error = await failureOf(hostKeys.verify(other, place));
  expect(error).toMatchObject({ code: "host-key.changed", data: { fingerprint: fingerprint(other) } });
  expect(error.message).toContain(fingerprint(other));
});

test("accepts a key by its fingerprint alone", async () => {
  const hostKeys = PinnedHostKeys.fromFingerprints([fingerprint(pinned)]);
  expect(hostKeys.keyTypes()).toEqual([]);
  await expect(hostKeys.verify(pinned, place)).resolves.toBeUndefined();
  expect(await failureOf(hostKeys.verify(other, place))).toMatchObject({ code: "host-key.changed" });
});

test("accepts nothing where nothing is pinned", async () => {
  expect(await failureOf(new PinnedHostKeys([]).verify(pinned, place))).toMatchObject({
    code: "host-key.changed",
  });
});

test.each(["", "MD5:00:11", "SHA256:short", `SHA256:${"a".repeat(44)}`, `${"a".repeat(43)}`])(
  "%j is not a fingerprint",
  (text) => {
    expect(() => PinnedHostKeys.fromFingerprints([text])).toThrow("is not a host key fingerprint");
  },
);

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isCodedError } from "@farside/protocol";
import { type KeyPair, makeKeyPair } from "@farside/ssh/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type OpenIdentityOptions, openIdentity } from "./open-identity.ts";

let folder = "";
let first: KeyPair;
let second: KeyPair;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-identity-"));
  [first, second] = await Promise.all([
    makeKeyPair(join(folder, "first")),
    makeKeyPair(join(folder, "second")),
  ]);
});
afterAll(() => rm(folder, { recursive: true }));

const options: OpenIdentityOptions = {
  wish: {},
  pinSource: {
    isInteractive: false,
    ask: () => Promise.reject(new Error("not asked for")),
    confirmLastTry: () => Promise.resolve(false),
  },
  passphrase: undefined,
  cardEvents: {},
  onWarning: () => undefined,
  signal: new AbortController().signal,
};

test("without an agent the key files are used, missing ones left out", async () => {
  await using identity = await openIdentity(
    {
      kind: "usual",
      socketPath: join(folder, "no-agent"),
      files: [first.path, join(folder, "missing"), second.path],
      isExplicit: true,
      onlyFiles: false,
    },
    options,
  );
  const keys = await identity.publicKeys();
  expect(keys.map(({ blob }) => Buffer.from(blob))).toEqual(
    [first, second].map(({ publicKey }) => Buffer.from(publicKey.blob)),
  );
});

test("with nothing to log in with, the error says how to choose", async () => {
  const failure = openIdentity(
    { kind: "usual", socketPath: undefined, files: [], isExplicit: false, onlyFiles: false },
    options,
  );
  const error: unknown = await failure.catch((reason: unknown) => reason);
  expect(isCodedError(error) && error.code).toBe("identity.none");
  expect(isCodedError(error) && error.hint).toContain("--pkcs11-provider");
});

test("a key file that was asked for must be there", async () => {
  const failure = openIdentity({ kind: "file", path: join(folder, "missing") }, options);
  await expect(failure).rejects.toThrow(/missing/);
});

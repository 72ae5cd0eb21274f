import { chmod, rename, rm, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readPublicKeyFile } from "./key-file.ts";
import { KeyFileIdentity } from "./key-file-identity.ts";
import { signatureBlob, verifySignature } from "./ssh-signature.ts";
import { describeIdentity } from "./testing/describe-identity.ts";
import { failureOf } from "./testing/failure-of.ts";
import { type KeyKind, type KeyPair, makeKeyPair } from "./testing/key-pair.ts";
import { type TemporaryFolder, temporaryFolder } from "./testing/temporary-folder.ts";

const kinds: readonly KeyKind[] = ["ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048"];

let folder: TemporaryFolder;
let number = 0;
const freshPath = () => folder.file(`key-${++number}`);

beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(async () => {
  await folder[Symbol.asyncDispose]();
});

let pairs: Promise<KeyPair[]> | undefined;

describeIdentity("key files of every kind", async () => {
  pairs ??= Promise.all(kinds.map((kind) => makeKeyPair(freshPath(), kind)));
  const identity = await KeyFileIdentity.open({ files: (await pairs).map(({ path }) => path) });
  return { identity, [Symbol.asyncDispose]: () => identity.close() };
});

const passphrase = "correct horse";
const formats = [
  ["ed25519", "RFC4716"],
  ["ecdsa-384", "PEM"],
  ["rsa-2048", "PEM"],
  ["rsa-2048", "PKCS8"],
  ["ecdsa-256", "PKCS8"],
  ["ecdsa-521", "RFC4716"],
] as const;

describe("an encrypted key file", () => {
  test.each(formats)(
    "of %s in format %s opens with its passphrase when it has to sign",
    async (kind, format) => {
      const pair = await makeKeyPair(freshPath(), kind, { passphrase, format });
      const asked: string[] = [];
      await using identity = await KeyFileIdentity.open({
        files: [pair.path],
        passphrase: async (file) => {
          asked.push(file);
          return passphrase;
        },
      });
      const keys = await identity.publicKeys();
      expect(keys.map(({ blob }) => Buffer.from(blob))).toEqual([Buffer.from(pair.publicKey.blob)]);
      expect(asked).toEqual([]);
      await expectSignature(identity);
      await expectSignature(identity);
      expect(asked).toEqual([pair.path]);
    },
  );

  test.each(formats)("of %s in format %s is read without its .pub file too", async (kind, format) => {
    const pair = await makeKeyPair(freshPath(), kind, { passphrase, format });
    await rm(`${pair.path}.pub`);
    await using identity = await KeyFileIdentity.open({
      files: [pair.path],
      passphrase: async () => passphrase,
    });
    const [key] = await identity.publicKeys();
    expect(Buffer.from(key?.blob ?? [])).toEqual(Buffer.from(pair.publicKey.blob));
  });

  test("is asked for three times at most, and then identity.passphrase-wrong", async () => {
    const pair = await makeKeyPair(freshPath(), "ed25519", { passphrase });
    const triesLeft: number[] = [];
    await using identity = await KeyFileIdentity.open({
      files: [pair.path],
      passphrase: async (_file, options) => {
        triesLeft.push(options.triesLeft);
        return "wrong";
      },
    });
    const error = await failureOf(expectSignature(identity));
    expect(error.code).toBe("identity.passphrase-wrong");
    expect(error.message).not.toContain("wrong horse");
    expect(triesLeft).toEqual([3, 2, 1]);
  });

  test("can't be used where nobody can be asked", async () => {
    const pair = await makeKeyPair(freshPath(), "ed25519", { passphrase });
    await using identity = await KeyFileIdentity.open({ files: [pair.path] });
    expect(await failureOf(expectSignature(identity))).toMatchObject({ code: "identity.key-unreadable" });
  });
});

describe("a key file that can't be used", () => {
  test("because it is missing, is identity.key-unreadable, or left out in silence where that is allowed", async () => {
    const files = [freshPath()];
    expect(await failureOf(KeyFileIdentity.open({ files }))).toMatchObject({
      code: "identity.key-unreadable",
    });
    const warnings: string[] = [];
    await using identity = await KeyFileIdentity.open({
      files,
      lenient: true,
      onWarning: (text) => warnings.push(text),
    });
    expect(await identity.publicKeys()).toEqual([]);
    expect(warnings).toEqual([]);
  });

  test("because others may read it, says how to change that", async () => {
    const pair = await makeKeyPair(freshPath());
    await chmod(pair.path, 0o640);
    const error = await failureOf(KeyFileIdentity.open({ files: [pair.path] }));
    expect(error).toMatchObject({ code: "identity.key-unreadable", hint: `chmod 600 ${pair.path}` });
  });

  test.each([
    "",
    "not a key",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
  ])("because it holds %j, is reported at once, or left out with a warning", async (text) => {
    const path = freshPath();
    await writeFile(path, text, { mode: 0o600 });
    expect(await failureOf(KeyFileIdentity.open({ files: [path] }))).toMatchObject({
      code: "identity.key-unreadable",
    });
    const warnings: string[] = [];
    await using identity = await KeyFileIdentity.open({
      files: [path],
      lenient: true,
      onWarning: (warning) => warnings.push(warning),
    });
    expect(await identity.publicKeys()).toEqual([]);
    expect(warnings).toHaveLength(1);
  });

  test("because its .pub file is another key's, is found out before anything is signed", async () => {
    const pair = await makeKeyPair(freshPath(), "rsa-2048", { passphrase, format: "PEM" });
    const other = await makeKeyPair(freshPath(), "rsa-2048");
    await rename(`${other.path}.pub`, `${pair.path}.pub`);
    await using identity = await KeyFileIdentity.open({
      files: [pair.path],
      passphrase: async () => passphrase,
    });
    const error = await failureOf(expectSignature(identity));
    expect(error.message).toContain("is not the public key of");
  });
});

test("the public key of an IdentityFile is found without its passphrase", async () => {
  const pair = await makeKeyPair(freshPath(), "ed25519", { passphrase });
  const blobOf = async (path: string) =>
    Buffer.from((await readPublicKeyFile(path))?.blob ?? []).toString("hex");
  const expected = Buffer.from(pair.publicKey.blob).toString("hex");
  expect(await blobOf(pair.path)).toBe(expected);
  expect(await blobOf(`${pair.path}.pub`)).toBe(expected);
  await rm(`${pair.path}.pub`);
  expect(await blobOf(pair.path)).toBe(expected);
  expect(await readPublicKeyFile(freshPath())).toBeUndefined();
});

async function expectSignature(identity: KeyFileIdentity): Promise<void> {
  const [publicKey] = await identity.publicKeys();
  if (publicKey === undefined) throw new Error("no key");
  const algorithm = publicKey.type === "ssh-rsa" ? "rsa-sha2-256" : publicKey.type;
  const data = Buffer.from("data");
  const proof = { hostKey: data, signature: data };
  const value = await identity.sign({ publicKey, algorithm, data, proof });
  expect(verifySignature(publicKey.blob, data, signatureBlob(algorithm, value))).toBe(true);
}

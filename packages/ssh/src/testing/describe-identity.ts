import { createHash, generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { signatureAlgorithmsOf } from "../algorithms.ts";
import type { Identity, PublicKey } from "../identity.ts";
import type { KeyExchangeProof } from "../kex-proof.ts";
import { publicKeyBlob } from "../public-key.ts";
import { signatureBlob, signatureValue, verifySignature } from "../ssh-signature.ts";
import { encodeUserauthRequest } from "../userauth-request.ts";
import { failureOf } from "./failure-of.ts";

export interface IdentityUnderTest extends AsyncDisposable {
  readonly identity: Identity;
}

/** What every identity keeps. `open` makes a fresh one that holds at least one key and needs nobody's answer. */
export function describeIdentity(name: string, open: () => Promise<IdentityUnderTest>): void {
  describe(`the identity contract, kept by ${name}`, () => {
    test("it has keys whose type is the one in their blob", async () => {
      await using subject = await open();
      const keys = await subject.identity.publicKeys();
      expect(keys.length).toBeGreaterThan(0);
      for (const { type, blob } of keys) {
        const length = Buffer.from(blob).readUInt32BE();
        expect(Buffer.from(blob).toString("latin1", 4, 4 + length)).toBe(type);
      }
    });

    test("it lists the same keys in the same order again", async () => {
      await using subject = await open();
      const blobs = async () =>
        (await subject.identity.publicKeys()).map(({ blob }) => Buffer.from(blob).toString("hex"));
      expect(await blobs()).toEqual(await blobs());
    });

    test("every key makes signatures that verify, in each of its algorithms", async () => {
      await using subject = await open();
      for (const publicKey of await subject.identity.publicKeys()) {
        for (const algorithm of signatureAlgorithmsOf(publicKey.type)) {
          const { data, proof } = login(publicKey, algorithm);
          const value = await subject.identity.sign({ publicKey, algorithm, data, proof });
          expect(verifySignature(publicKey.blob, data, signatureBlob(algorithm, value))).toBe(true);
        }
      }
    });

    test("signatures that are asked for at once are all made", async () => {
      await using subject = await open();
      const [publicKey] = (await subject.identity.publicKeys()) as [PublicKey];
      const [algorithm] = signatureAlgorithmsOf(publicKey.type) as [string];
      const requests = Array.from({ length: 4 }, (_, index) => login(publicKey, algorithm, `user-${index}`));
      const values = await Promise.all(
        requests.map(({ data, proof }) => subject.identity.sign({ publicKey, algorithm, data, proof })),
      );
      const verified = values.map((value, index) =>
        verifySignature(
          publicKey.blob,
          requests[index]?.data ?? Buffer.alloc(0),
          signatureBlob(algorithm, value),
        ),
      );
      expect(verified).toEqual([true, true, true, true]);
    });

    test("a signature by a key that it does not hold is refused with a coded error", async () => {
      await using subject = await open();
      const { publicKey: foreign } = generateKeyPairSync("ed25519");
      const publicKey = { type: "ssh-ed25519", blob: publicKeyBlob(foreign), comment: "" };
      const { data, proof } = login(publicKey, "ssh-ed25519");
      const error = await failureOf(
        subject.identity.sign({ publicKey, algorithm: "ssh-ed25519", data, proof }),
      );
      expect(error.code).toMatch(/^(?:card|identity|sign)\./u);
    });

    test("an aborted signal ends a call with its reason", async () => {
      await using subject = await open();
      const [publicKey] = (await subject.identity.publicKeys()) as [PublicKey];
      const [algorithm] = signatureAlgorithmsOf(publicKey.type) as [string];
      const { data, proof } = login(publicKey, algorithm);
      const reason = new Error("enough");
      const signing = subject.identity.sign({
        publicKey,
        algorithm,
        data,
        proof,
        signal: AbortSignal.abort(reason),
      });
      await expect(signing).rejects.toBe(reason);
    });

    test("close can be called twice, and nothing is signed afterwards", async () => {
      await using subject = await open();
      const [publicKey] = (await subject.identity.publicKeys()) as [PublicKey];
      const [algorithm] = signatureAlgorithmsOf(publicKey.type) as [string];
      await subject.identity.close();
      await subject.identity.close();
      const { data, proof } = login(publicKey, algorithm);
      const error = await failureOf(subject.identity.sign({ publicKey, algorithm, data, proof }));
      expect(error.code).toMatch(/^(?:card|identity|sign)\./u);
    });
  });
}

/** A login as a server would have it signed, with a proof that is as real. */
function login(
  publicKey: PublicKey,
  algorithm: string,
  user = "somebody",
): { data: Buffer; proof: KeyExchangeProof } {
  const host = generateKeyPairSync("ed25519");
  const sessionId = createHash("sha256").update(user).digest();
  const hostKey = publicKeyBlob(host.publicKey);
  const signature = signatureBlob("ssh-ed25519", signatureValue(host.privateKey, "ssh-ed25519", sessionId));
  const data = encodeUserauthRequest({
    sessionId,
    user,
    algorithm,
    publicKey: publicKey.blob,
  });
  return { data, proof: { hostKey, signature } };
}

import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import { CodedError } from "@farside/protocol";
import { type Identity, type PublicKey, signatureBlob, verifySignature } from "@farside/ssh";
import type { AbortOptions } from "./abort-options.ts";

export interface TestedSignature {
  readonly publicKey: PublicKey;
  readonly algorithm: string;
  readonly durationMs: number;
}

/**
 * Lets `identity` sign random bytes with `publicKey` (default: its first) and checks the result. What is signed can't be
 * taken for a login: it starts with text, where a userauth request has the length of a session id.
 */
export async function testSignature(
  identity: Identity,
  { publicKey, signal }: AbortOptions & { readonly publicKey?: PublicKey | undefined } = {},
): Promise<TestedSignature> {
  const key = publicKey ?? (await identity.publicKeys({ signal }))[0];
  if (key === undefined) throw new CodedError("card.no-key", "there is no key to test", { leg: "card" });
  const algorithm = key.type === "ssh-rsa" ? "rsa-sha2-512" : key.type;
  const data = Buffer.concat([Buffer.from("farside card test "), randomBytes(32)]);
  const nobody = new Uint8Array();
  const start = performance.now();
  const signature = await identity.sign({
    ...{ publicKey: key, algorithm, data, signal },
    proof: { hostKey: nobody, signature: nobody },
  });
  const durationMs = performance.now() - start;
  if (!verifySignature(key.blob, data, signatureBlob(algorithm, signature)))
    throw new CodedError("card.failed", `the signature of the ${key.type} key is wrong`, { leg: "card" });
  return { publicKey: key, algorithm, durationMs };
}

import { readFile } from "node:fs/promises";
import type { PublicKey } from "../identity.ts";
import { program } from "./program.ts";

export type KeyKind = "ed25519" | "ecdsa-256" | "ecdsa-384" | "ecdsa-521" | "rsa-2048";

export interface KeyPair {
  /** Path of the private key; the public one is beside it, with `.pub`. */
  readonly path: string;
  readonly publicKey: PublicKey;
  /** The line for authorized_keys. */
  readonly line: string;
}

/** A new key pair by ssh-keygen at `path`. */
export async function makeKeyPair(
  path: string,
  kind: KeyKind = "ed25519",
  options: { passphrase?: string; format?: "RFC4716" | "PEM" | "PKCS8" } = {},
): Promise<KeyPair> {
  const [type = "", bits] = kind.split("-");
  const format = options.format === undefined ? [] : ["-m", options.format];
  const size = bits === undefined ? [] : ["-b", bits];
  const passphrase = options.passphrase ?? "";
  await program("ssh-keygen", [
    "-q",
    "-t",
    type,
    ...size,
    ...format,
    "-N",
    passphrase,
    "-C",
    kind,
    "-f",
    path,
  ]);
  const line = (await readFile(`${path}.pub`, "utf8")).trim();
  const [keyType = "", base64 = "", comment = ""] = line.split(" ");
  return { path, line, publicKey: { type: keyType, blob: Buffer.from(base64, "base64"), comment } };
}

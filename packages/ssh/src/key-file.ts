import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { CodedError } from "@farside/protocol";
import ssh2 from "ssh2";
import type { PublicKey } from "./identity.ts";
import { parsePublicKey, parsePublicKeyLine, publicKeyBlob } from "./public-key.ts";
import { WireReader } from "./wire.ts";

const maxKeyFileBytes = 64 * 1024;
const opensshMagic = "openssh-key-v1\0";

export interface PrivateKey {
  readonly key: KeyObject;
  readonly publicKey: PublicKey;
}

export interface KeyFile {
  readonly path: string;
  /** Undefined only where nothing but the encrypted private key tells it. */
  readonly publicKey: PublicKey | undefined;
  readonly isEncrypted: boolean;
  /** Throws `identity.passphrase-wrong` or `identity.key-unreadable`. */
  open(passphrase?: string): PrivateKey;
}

/** Reads a private key file and refuses one that others can read, as ssh(1) does. Rejects with `identity.key-unreadable`. */
export async function readKeyFile(path: string): Promise<KeyFile> {
  const text = await readPrivate(path);
  const envelope = readEnvelope(text);
  const isEncrypted =
    envelope?.isEncrypted ?? /^(?:Proc-Type: 4,ENCRYPTED|-----BEGIN ENCRYPTED)/mu.test(text);
  const open = (passphrase?: string) => openKey(path, text, passphrase, isEncrypted);
  // A key that is not encrypted is read now, so that a broken file is reported before anything is connected.
  const publicKey =
    envelope?.publicKey ?? (await readPublicHalf(path)) ?? (isEncrypted ? undefined : open().publicKey);
  return { path, publicKey, isEncrypted, open };
}

async function readPrivate(path: string): Promise<string> {
  try {
    const { mode, uid, size } = await stat(path);
    if (uid === process.getuid?.() && (mode & 0o077) !== 0)
      throw new CodedError(
        "identity.key-unreadable",
        `reading ${path}: others may read it (mode ${(mode & 0o777).toString(8)})`,
        {
          hint: `chmod 600 ${path}`,
        },
      );
    if (size > maxKeyFileBytes) throw new Error("it is too long for a key");
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw unreadable(path, error);
  }
}

/**
 * The public key that an IdentityFile stands for, without its passphrase: of `path.pub`, of `path` where that is a public
 * key itself (whose private half an ssh-agent has), or of an OpenSSH private key. Undefined where none of them tells.
 */
export async function readPublicKeyFile(path: string): Promise<PublicKey | undefined> {
  const text = await readFile(path, "utf8").catch(() => "");
  return (await readPublicHalf(path)) ?? parseLine(text) ?? readEnvelope(text)?.publicKey;
}

async function readPublicHalf(path: string): Promise<PublicKey | undefined> {
  return parseLine(await readFile(`${path}.pub`, "utf8").catch(() => ""));
}

function parseLine(text: string): PublicKey | undefined {
  try {
    return parsePublicKeyLine(text);
  } catch {
    return undefined;
  }
}

/** OpenSSH's own format has the public key in clear (PROTOCOL.key). */
function readEnvelope(text: string): { publicKey: PublicKey; isEncrypted: boolean } | undefined {
  const base64 = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]*?)-----END/u.exec(text)?.[1];
  if (base64 === undefined) return undefined;
  const bytes = Buffer.from(base64, "base64");
  if (bytes.toString("latin1", 0, opensshMagic.length) !== opensshMagic) return undefined;
  try {
    const reader = new WireReader(bytes.subarray(opensshMagic.length));
    const cipher = reader.name();
    reader.string();
    reader.string();
    reader.uint32();
    return { publicKey: parsePublicKey(reader.string()), isEncrypted: cipher !== "none" };
  } catch {
    return undefined;
  }
}

function openKey(
  path: string,
  text: string,
  passphrase: string | undefined,
  isEncrypted: boolean,
): PrivateKey {
  const key = privateKeyObject(path, text, passphrase, isEncrypted);
  try {
    return { key, publicKey: parsePublicKey(publicKeyBlob(createPublicKey(key))) };
  } catch (error) {
    throw unreadable(path, error);
  }
}

function privateKeyObject(
  path: string,
  text: string,
  passphrase: string | undefined,
  isEncrypted: boolean,
): KeyObject {
  try {
    if (!text.includes("BEGIN OPENSSH PRIVATE KEY"))
      return createPrivateKey({ key: text, ...(passphrase === undefined ? {} : { passphrase }) });
    const parsed = ssh2.utils.parseKey(text, passphrase);
    if (parsed instanceof Error) throw parsed;
    const pem = parsed.getPrivatePEM();
    if (typeof pem !== "string") throw new Error("there is no private key in it");
    return createPrivateKey(pem);
  } catch (error) {
    // Neither library has an error of its own for it: what fails on an encrypted key is the passphrase.
    if (isEncrypted)
      throw new CodedError("identity.passphrase-wrong", `opening ${path}: the passphrase does not open it`);
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): CodedError {
  const { code, message } = error as NodeJS.ErrnoException;
  const reason =
    code === "ENOENT"
      ? "there is no such file"
      : code === "EACCES"
        ? "permission denied"
        : `it can't be read (${message})`;
  return new CodedError("identity.key-unreadable", `reading ${path}: ${reason}`, {
    data: { isMissing: code === "ENOENT" },
    hint: "farside reads Ed25519, ECDSA and RSA keys in OpenSSH and PEM format; for others use ssh-agent.",
  });
}

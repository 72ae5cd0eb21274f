import { createHash } from "node:crypto";

/** The fingerprint of a public key blob as ssh(1) prints it: `SHA256:` and unpadded base64. */
export function fingerprint(blob: Uint8Array): string {
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/u, "")}`;
}

/** Whether `text` has the form of a SHA-256 fingerprint. */
export function isFingerprint(text: string): boolean {
  return /^SHA256:[A-Za-z0-9+/]{43}$/u.test(text);
}

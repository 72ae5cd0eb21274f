import { randomBytes } from "node:crypto";
import type { SignParams } from "@farside/protocol";
import { type DeclaredHop, DestinationGuard, type GuardDecision } from "../destination-guard.ts";
import { makeTestKey, type UserauthFields, userauthData } from "./userauth.ts";

/** A declared hop, a guard for it, and a request that it signs. */
export const HOSTBOUND = "publickey-hostbound-v00@openssh.com";
export const hostKey = makeTestKey("ssh-ed25519");
export const otherHostKey = makeTestKey("ssh-ed25519");
export const ourP256 = makeTestKey("ecdsa-sha2-nistp256");
export const ourRsa = makeTestKey("ssh-rsa");

export const target: DeclaredHop = {
  hopId: "hop-1",
  user: "signer",
  host: "172.16.16.160",
  port: 22,
  hostKeys: [hostKey.blob],
  publicKeys: [ourP256, ourRsa],
};

export function guardFor(...hops: DeclaredHop[]) {
  const clock = { now: 0 };
  const decisions: GuardDecision[] = [];
  const guard = new DestinationGuard({
    now: () => clock.now,
    onDecision: (decision) => decisions.push(decision),
  });
  for (const hop of hops) guard.declare(hop);
  return { guard, clock, decisions };
}

export const sid = randomBytes(32);
export const proof = hostKey.signatureOver(sid);
export const data = (fields: Partial<UserauthFields> = {}) =>
  userauthData({ sessionId: sid, algorithm: ourP256.type, publicKey: ourP256.blob, ...fields });
export const request = (changes: Partial<SignParams> = {}): SignParams => ({
  hopId: "hop-1",
  data: data(),
  hostKey: hostKey.blob,
  serverSignature: proof,
  ...changes,
});

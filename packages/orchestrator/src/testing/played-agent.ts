import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { type AgentHello, FramedStream, type SignParams } from "@farside/protocol";
import type { SignRequest } from "@farside/ssh";
import type { AgentLinkOptions } from "../agent-link.ts";
import type { DeclaredHop } from "../destination-guard.ts";
import type { SessionEventDraft } from "../event-log.ts";
import type { ForwardRequest } from "../forward-request.ts";
import { makeTestKey, userauthData } from "./userauth.ts";

/** What a test's link and the agent that the test plays agree on. */
export const digest = "a".repeat(64);
export const hello: AgentHello = {
  protocol: { min: 1, max: 1 },
  agentVersion: "0.1.0",
  digest,
  capabilities: ["unknown-to-us"],
  pid: 42,
  node: "20.0.0",
  platform: "linux",
  hostname: "build",
  uid: 1000,
  user: "builder",
};
export const hostKey = makeTestKey("ssh-ed25519");
export const ourKey = makeTestKey("ssh-ed25519");
export const hop: DeclaredHop = {
  ...{ hopId: "hop-1", user: "signer", host: "sign", port: 22 },
  ...{ hostKeys: [hostKey.blob], publicKeys: [ourKey] },
};
export const forward: ForwardRequest = {
  forwardId: "1",
  bind: { kind: "loopback", port: 4444 },
  target: { kind: "tcp", host: "x", port: 1 },
  route: [hop],
  admission: { allowUsers: [], allowAnyUser: false },
  maxRelays: 0,
};

/** What a link over `stream` is made with; what it tells and asks of the identity is collected. */
export function linkOver(
  stream: Duplex,
  { events, signed, readied = [], leaseMs = 60_000 }: Collected & { readonly leaseMs?: number },
): AgentLinkOptions {
  return {
    ...{ stream: new FramedStream(stream), host: "builder@build", digest },
    emit: (event) => events.push(event),
    hello: { session: "s", leaseMs, ttlMs: 0, idleMs: 0, logLevel: "warn" },
    identity: {
      ready: async () => void readied.push("ready"),
      sign: async (request) => {
        signed.push(request);
        return Buffer.from("signature");
      },
    },
    signal: AbortSignal.timeout(60_000),
  };
}

export interface Collected {
  readonly events: SessionEventDraft[];
  readonly signed: SignRequest[];
  readonly readied?: string[];
}

export const signRequest = (changes: Partial<SignParams> = {}): SignParams => {
  const sessionId = randomBytes(32);
  return {
    hopId: "hop-1",
    data: userauthData({ sessionId, publicKey: ourKey.blob }),
    hostKey: hostKey.blob,
    serverSignature: hostKey.signatureOver(sessionId),
    ...changes,
  };
};

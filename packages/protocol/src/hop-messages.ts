/** What is said about hops: their logins, and the signatures these need. */
import * as v from "valibot";
import { defineEvent, defineRequest } from "./define.ts";
import { MAX_SIGN_DATA_BYTES } from "./limits.ts";
import { bytes, name, port, publicKeyBlob } from "./message-parts.ts";
import { wireError } from "./wire-error.ts";

/**
 * Ask the workstation's identity for a publickey userauth signature (RFC 4252, 7). `hostKey` and `serverSignature` are
 * the server's host key and its signature over the session identifier of the first key exchange: the proof that the
 * destination guard checks. The answer is the signature value without the algorithm name.
 */
export const signWithIdentity = defineRequest("identity.sign", {
  asker: "agent",
  since: 1,
  params: v.object({
    hopId: name,
    data: bytes(MAX_SIGN_DATA_BYTES),
    hostKey: publicKeyBlob,
    serverSignature: bytes(8192),
  }),
  result: v.object({ signature: bytes(8192) }),
});

/**
 * Wait until the workstation's identity can sign for a hop without waiting for a person: its card is in, and has its PIN. Asked before a
 * hop is dialled again, as sshd counts how long a login takes, and charges one that takes too long.
 */
export const readyIdentity = defineRequest("identity.ready", {
  asker: "agent",
  since: 1,
  params: v.object({ hopId: name }),
  result: v.object({}),
});

/** A hop of a route is authenticated. */
export const hopConnected = defineEvent("hop.connected", {
  sender: "agent",
  since: 1,
  data: v.object({ hopId: name, user: name, host: name, port, hostKey: publicKeyBlob }),
});

/** An established hop is gone. It is dialled again with pauses that grow, and when a relay needs it. */
export const hopLost = defineEvent("hop.lost", {
  sender: "agent",
  since: 1,
  data: v.object({ hopId: name, error: wireError }),
});

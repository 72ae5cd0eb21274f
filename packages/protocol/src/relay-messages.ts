/** What an agent tells of relays, the connections of a forward. */
import * as v from "valibot";
import { defineEvent } from "./define.ts";
import { count, name, text } from "./message-parts.ts";
import { wireError } from "./wire-error.ts";

const relayId = count;
/** Address of a client, `127.0.0.1:54321`; `unix` for a unix socket. */
const peerAddress = name;

/** A connection was accepted and admitted. `uid` is -1 where it isn't known (any user allowed, unix socket). */
export const relayOpened = defineEvent("relay.open", {
  sender: "agent",
  since: 1,
  data: v.object({ forwardId: name, relayId, peer: peerAddress, uid: v.pipe(v.number(), v.integer()) }),
});

/**
 * A relay ended. `reason`: `end` (both sides finished), `reset`, `error` (with `error`), `closed` (forward closed).
 * `isWhole`: it was over before anybody was told that it opened; no `relay.open` has come or will.
 */
export const relayClosed = defineEvent("relay.close", {
  sender: "agent",
  since: 1,
  data: v.object({
    forwardId: name,
    relayId,
    peer: peerAddress,
    uid: v.pipe(v.number(), v.integer()),
    bytesIn: count,
    bytesOut: count,
    durationMs: count,
    reason: v.picklist(["end", "reset", "error", "closed"]),
    error: v.optional(wireError),
    isWhole: v.optional(v.boolean()),
  }),
});

/** A connection was not admitted: another user's, or one whose owner can't be known. Not a byte of it went on. */
export const relayRefused = defineEvent("relay.refused", {
  sender: "agent",
  since: 1,
  data: v.object({
    forwardId: name,
    peer: peerAddress,
    uid: v.pipe(v.number(), v.integer()),
    reason: v.picklist(["other-user", "unknown-user"]),
    hint: text,
  }),
});

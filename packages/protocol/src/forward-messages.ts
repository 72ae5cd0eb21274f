/** What is said about forwards: a listener and where its connections go. */
import * as v from "valibot";
import { defineEvent, defineRequest } from "./define.ts";
import { forwardState, takeoverReasons } from "./forward-state.ts";
import { MAX_HOP_CONNECTIONS, MAX_HOPS } from "./limits.ts";
import {
  admission,
  bindAddress,
  boundAddresses,
  count,
  hopDeclaration,
  name,
  takeOver,
  targetAddress,
  text,
} from "./message-parts.ts";

/** Open a listener on the agent's host and join each connection to `target`. Answers once it is listening and every hop of the route is authenticated. */
export const openForward = defineRequest("forward.open", {
  asker: "orchestrator",
  since: 1,
  params: v.object({
    forwardId: name,
    bind: bindAddress,
    target: targetAddress,
    route: v.pipe(v.array(hopDeclaration), v.maxLength(MAX_HOPS)),
    admission,
    /** Relays at a time; above it the listener pauses. 0: no limit of its own. */
    maxRelays: count,
    /** Connections to the last hop that relays are spread over when there are many; each is signed for. Default 1. */
    connections: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_HOP_CONNECTIONS))),
    /** Of which farside agents of this user the port is taken over; default: of none. */
    takeOver: v.optional(takeOver),
    /** Dial the target this often, without a byte, to know whether it can be had. Default: never. */
    probeMs: v.optional(v.pipe(count, v.minValue(1000))),
  }),
  result: v.object({ bound: boundAddresses }),
});

/** Close one forward: its listener at once, its relays after `graceMs`. */
export const closeForward = defineRequest("forward.close", {
  asker: "orchestrator",
  since: 1,
  params: v.object({ forwardId: name, graceMs: count }),
  result: v.object({}),
});

/** The state of a forward has changed. */
export const forwardChanged = defineEvent("forward.state", {
  sender: "agent",
  since: 1,
  data: v.object({ forwardId: name, state: forwardState }),
});

/** A port or a socket that somebody held was taken over. */
export const forwardTakenOver = defineEvent("forward.taken-over", {
  sender: "agent",
  since: 1,
  data: v.object({
    /** Or `METRICS_PLACE`. */
    forwardId: name,
    /** `127.0.0.1:4444`, or a socket's path. */
    address: text,
    /** Whose it was; a socket that nobody listened on any more was nobody's. */
    from: v.optional(v.object({ session: name, pid: count })),
    reason: v.picklist(takeoverReasons),
  }),
});

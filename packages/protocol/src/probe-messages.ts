/** Questions that open nothing, for `farside doctor`; the capability `probe`. */
import * as v from "valibot";
import { defineRequest, type ResultOf } from "./define.ts";
import { MAX_FORWARDS, MAX_HOPS } from "./limits.ts";
import { bindAddress, count, hopDeclaration, targetAddress } from "./message-parts.ts";
import { wireError } from "./wire-error.ts";

/** Whether a listener could be opened at `bind`, without opening one. Fails as `forward.open` would. */
export const probeBind = defineRequest("bind.probe", {
  asker: "orchestrator",
  since: 1,
  params: v.object({ bind: bindAddress }),
  result: v.object({}),
});

/**
 * Log in to the hops of `route`, dial each target once from the last of them (from the agent's host where there is none), and
 * close everything again. Fails as `forward.open` does where a hop does; a target's failure is in its answer.
 */
export const probeRoute = defineRequest("route.probe", {
  asker: "orchestrator",
  since: 1,
  params: v.object({
    route: v.pipe(v.array(hopDeclaration), v.maxLength(MAX_HOPS)),
    targets: v.pipe(v.array(targetAddress), v.maxLength(MAX_FORWARDS)),
  }),
  result: v.object({
    /** In the order of the question. */
    targets: v.pipe(
      v.array(v.object({ durationMs: count, error: v.optional(wireError) })),
      v.maxLength(MAX_FORWARDS),
    ),
  }),
});

/** What the host lets processes of this login do; what can't be known is left out. */
export const describeHost = defineRequest("host.describe", {
  asker: "orchestrator",
  since: 1,
  params: v.object({}),
  result: v.object({
    /** Open files at a time. */
    openFiles: v.optional(count),
    /** logind ends what a login leaves running (KillUserProcesses), as far as its configuration says so. */
    killsUserProcesses: v.optional(v.boolean()),
    /** Processes of the user may stay without a login (`loginctl enable-linger`). */
    lingers: v.optional(v.boolean()),
  }),
});
export type HostDescription = ResultOf<typeof describeHost>;

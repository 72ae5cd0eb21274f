/** The first message of each side. */
import * as v from "valibot";
import { type DataOf, defineEvent } from "./define.ts";
import { count, name, text } from "./message-parts.ts";

/** First message of the agent, right behind the preamble. */
export const agentHello = defineEvent("hello.agent", {
  sender: "agent",
  since: 1,
  data: v.object({
    protocol: v.object({ min: count, max: count }),
    agentVersion: name,
    /** SHA-256 of the bundle, hex. */
    digest: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
    capabilities: v.pipe(v.array(name), v.maxLength(64)),
    pid: v.pipe(count, v.minValue(1)),
    /** Version of Node.js, without the leading v. */
    node: name,
    platform: name,
    hostname: name,
    uid: count,
    user: name,
    /** Of an agent that outlives its control channels. */
    resident: v.optional(
      v.object({
        /** The nonce that marks its processes: the same at each attachment. */
        run: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
        /** Path of its control socket. */
        control: text,
      }),
    ),
  }),
});
export type AgentHello = DataOf<typeof agentHello>;

/** The orchestrator's answer: the version both speak, and what the agent must know before anything else. */
export const orchestratorHello = defineEvent("hello.orchestrator", {
  sender: "orchestrator",
  since: 1,
  data: v.object({
    protocol: count,
    session: name,
    leaseMs: v.pipe(count, v.minValue(1000)),
    /** End the session this long after it began. 0: never. */
    ttlMs: count,
    /** End it after this long without an open relay. 0: never. */
    idleMs: count,
    /** What open relays get when an agent that outlives its channels is told to end by a signal. Default 0. */
    graceMs: v.optional(count),
    logLevel: v.picklist(["error", "warn", "info", "debug"]),
    capabilities: v.pipe(v.array(name), v.maxLength(64)),
  }),
});
export type OrchestratorHello = DataOf<typeof orchestratorHello>;

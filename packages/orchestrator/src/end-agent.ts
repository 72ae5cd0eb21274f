import { abortable, deadline } from "@farside/protocol";
import type { AgentLink } from "./agent-link.ts";
import type { Deployment } from "./deploy.ts";

/** Beyond the grace, how long a stop may take to be answered. */
const STOP_MARGIN_MS = 1_000;
/** How long an agent that was told to end may take to do so. */
const END_TIMEOUT_MS = 2_000;

export interface EndAgentOptions {
  readonly link: Pick<AgentLink, "stop" | "close">;
  readonly ended: Deployment["ended"];
  /** What open relays get. */
  readonly graceMs: number;
  /** The grace is over, whatever is left of it. */
  readonly escalated: AbortSignal;
}

/**
 * Ends an agent: asks it to stop, and when it does not answer within the grace and a second, ends its stdin, which ends it
 * without grace; then its channel is closed. Never rejects; takes at most the grace and some 6 s. What then still runs
 * is for whoever looks at the host afterwards.
 */
export async function endAgent({ link, ended, graceMs, escalated }: EndAgentOptions): Promise<void> {
  const limit = deadline(graceMs + STOP_MARGIN_MS, "the agent did not stop in time", { signal: escalated });
  const isStopped = await link.stop(graceMs, limit.signal).then(
    () => true,
    () => false,
  );
  limit.release();
  if (isStopped) await within(END_TIMEOUT_MS, ended);
  await link.close();
  await within(END_TIMEOUT_MS, ended);
}

/** Waits for `promise`, at most `ms`; how it ends is not told. */
export async function within(ms: number, promise: Promise<void>): Promise<void> {
  const limit = deadline(ms, "waiting took too long");
  await abortable(promise, limit.signal).catch(() => {});
  limit.release();
}

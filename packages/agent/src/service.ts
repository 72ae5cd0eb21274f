import {
  CodedError,
  closeForward,
  describeAgent,
  handle,
  openForward,
  type RequestHandler,
  renewLease,
  stopAgent,
} from "@farside/protocol";
import type { CommandTable } from "./command/command-table.ts";
import type { ForwardTable } from "./forwarding/forward-table.ts";
import type { Lifetime } from "./lifetime.ts";

export interface ServiceParts {
  readonly forwards: ForwardTable;
  readonly commands: CommandTable;
  /** Undefined until the orchestrator's hello has come. */
  readonly lifetime: () => Lifetime | undefined;
  readonly droppedEvents: () => number;
  /** Ends the agent; called when a stop has been carried out, just before it is answered. */
  readonly onStopped: () => void;
}

/** One handler for each request that an agent answers. */
export function agentService({
  forwards,
  commands,
  lifetime,
  droppedEvents,
  onStopped,
}: ServiceParts): RequestHandler[] {
  const startedAt = performance.now();
  const requireLifetime = () => {
    const current = lifetime();
    if (current === undefined) throw new CodedError("protocol.bad-message", "a request before the hello");
    return current;
  };
  return [
    handle(openForward, async (params, { signal }) => {
      requireLifetime();
      return { bound: [...(await forwards.open(params, signal))] };
    }),
    handle(closeForward, async ({ forwardId, graceMs }) => {
      await forwards.close(forwardId, graceMs);
      return {};
    }),
    handle(renewLease, () => {
      requireLifetime().renew();
      // Connections that came while the lease was in doubt may start now.
      forwards.pump();
      return { openRelays: forwards.openRelays };
    }),
    handle(describeAgent, () => ({
      forwards: forwards.counters,
      rssBytes: process.memoryUsage.rss(),
      uptimeMs: Math.round(performance.now() - startedAt),
      eventsDropped: droppedEvents(),
    })),
    handle(stopAgent, async ({ graceMs }) => {
      const [relaysCut] = await Promise.all([forwards.closeAll(graceMs), commands.closeAll(graceMs)]);
      onStopped();
      return { relaysCut };
    }),
  ];
}

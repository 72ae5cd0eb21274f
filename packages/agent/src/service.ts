import {
  closeForward,
  describeAgent,
  handle,
  openForward,
  type RequestHandler,
  renewLease,
  stopAgent,
} from "@farside/protocol";
import type { ForwardTable } from "./forwarding/forward-table.ts";
import type { Lifetime } from "./lifetime.ts";

export interface ServiceParts {
  readonly forwards: ForwardTable;
  /** Ends the commands that the agent runs, where it runs any. */
  readonly endCommands?: ((graceMs: number) => Promise<void>) | undefined;
  /** Throws until the orchestrator's hello has come. */
  readonly lifetime: () => Lifetime;
  readonly droppedEvents: () => number;
  /** Ends the agent; called when a stop has been carried out, just before it is answered. */
  readonly onStopped: () => void;
}

/** One handler for each request that an agent answers. */
export function agentService({
  forwards,
  endCommands,
  lifetime,
  droppedEvents,
  onStopped,
}: ServiceParts): RequestHandler[] {
  const startedAt = performance.now();
  return [
    handle(openForward, async (params, { signal }) => {
      lifetime();
      return { bound: [...(await forwards.open(params, signal))] };
    }),
    handle(closeForward, async ({ forwardId, graceMs }) => {
      await forwards.close(forwardId, graceMs);
      return {};
    }),
    handle(renewLease, () => {
      lifetime().renew();
      // Connections that came while the lease was in doubt may start now.
      forwards.pump();
      return { openRelays: forwards.openRelays };
    }),
    handle(describeAgent, () => ({
      ...{ forwards: forwards.counters, relays: forwards.relays },
      rssBytes: process.memoryUsage.rss(),
      uptimeMs: Math.round(performance.now() - startedAt),
      eventsDropped: droppedEvents(),
    })),
    handle(stopAgent, async ({ graceMs }) => {
      const [relaysCut] = await Promise.all([forwards.closeAll(graceMs), endCommands?.(graceMs)]);
      onStopped();
      return { relaysCut };
    }),
  ];
}

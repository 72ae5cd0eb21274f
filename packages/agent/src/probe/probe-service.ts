import {
  describeHost,
  handle,
  probeBind,
  probeRoute,
  type RequestHandler,
  type TargetAddress,
  toWire,
} from "@farside/protocol";
import type { RoutePool } from "../forwarding/route-pool.ts";
import { sshTarget } from "../forwarding/ssh-target.ts";
import type { Target } from "../forwarding/target.ts";
import { tcpTarget } from "../forwarding/tcp-target.ts";
import { unixTarget } from "../forwarding/unix-target.ts";
import { readHostLimits } from "./host-limits.ts";
import { probeBindAddress } from "./probe-bind.ts";

export interface ProbeParts {
  readonly routes: RoutePool;
  /** Throws where the orchestrator has not said hello yet. */
  readonly requireSession: () => void;
}

/** One handler for each question that opens nothing. */
export function probeService({ routes, requireSession }: ProbeParts): RequestHandler[] {
  return [
    handle(probeBind, async ({ bind }) => {
      requireSession();
      await probeBindAddress(bind);
      return {};
    }),
    handle(probeRoute, async ({ route, targets }, { signal }) => {
      requireSession();
      // One lease for all targets: each hop costs one signature.
      const lease = route.length === 0 ? undefined : routes.lease(route);
      try {
        await lease?.lastHop(signal);
        const results = [];
        for (const address of targets) {
          const target = lease === undefined ? directTarget(address) : sshTarget(address, lease);
          results.push(await probeTarget(target, signal));
        }
        return { targets: results };
      } finally {
        await lease?.close();
      }
    }),
    handle(describeHost, () => {
      requireSession();
      return readHostLimits();
    }),
  ];
}

function directTarget(address: TargetAddress): Target {
  return address.kind === "unix" ? unixTarget(address.path) : tcpTarget(address.host, address.port);
}

async function probeTarget(target: Target, signal: AbortSignal) {
  const startedAt = performance.now();
  const durationMs = () => Math.round(performance.now() - startedAt);
  try {
    (await target.dial(signal)).destroy();
    return { durationMs: durationMs() };
  } catch (error) {
    signal.throwIfAborted();
    return { durationMs: durationMs(), error: toWire(error) };
  }
}

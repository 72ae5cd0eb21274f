import { CodedError, isCodedError, type TargetAddress } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { formatEndpoint } from "./format-endpoint.ts";
import type { Place } from "./hop-spread.ts";
import type { Route } from "./route-pool.ts";
import { type Dialled, dialledStream, type Target } from "./target.ts";

const DIAL_TIMEOUT_MS = 30_000;

/** `address` as the last hop of `route` sees it. Owns its use of the route. */
export function sshTarget(address: TargetAddress, route: Route): Target {
  const label = address.kind === "unix" ? address.path : formatEndpoint(address.host, address.port);
  const close = () => route.close();
  return {
    label,
    async connect(signal) {
      await route.lastHop(signal);
    },
    watch: (watcher) => route.watch(watcher),
    async dial(signal) {
      const place = await route.take(signal);
      try {
        return await dialOn(place, address, label, signal);
      } catch (error) {
        // A further connection is an extra: what it can't do, the first one may.
        if (!place.isFurther || signal.aborted || !isCodedError(error) || error.leg !== "hop") throw error;
        return await dialOn(await route.takeFirst(signal), address, label, signal);
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A connection to `address` by `place`, which it holds until it ends. */
async function dialOn(
  place: Place,
  address: TargetAddress,
  label: string,
  signal: AbortSignal,
): Promise<Dialled> {
  const { hop } = place;
  try {
    const dialled = await dialFrom(hop, address, { signal, timeoutMs: DIAL_TIMEOUT_MS });
    place.opened();
    return holding(place, dialled);
  } catch (error) {
    place.release();
    if (signal.aborted) throw signal.reason;
    throw dialError(error, label, hop.name);
  }
}

function holding(place: Place, dialled: Dialled): Dialled {
  return {
    join(client) {
      const relay = dialled.join(client);
      void relay.closed.then(place.release);
      return relay;
    },
    destroy() {
      dialled.destroy();
      place.release();
    },
  };
}

/** By the hop's data path where it has one, which joins a relay itself; else as a stream through ssh2. */
async function dialFrom(
  hop: Hop,
  address: TargetAddress,
  options: { signal: AbortSignal; timeoutMs: number },
): Promise<Dialled> {
  if (hop.dataPath !== undefined)
    return hop.dataPath.open(address.kind === "unix" ? { socketPath: address.path } : address, options);
  const stream =
    address.kind === "unix"
      ? await hop.dialUnix(address.path, options)
      : await hop.dial(address.host, address.port, options);
  return dialledStream({ stream, letGo: stream.letGo });
}

function dialError(error: unknown, label: string, hop: string): CodedError {
  const isCoded = isCodedError(error);
  if (isCoded && error.code !== "timeout") return error;
  const why = isCoded ? `no answer within ${DIAL_TIMEOUT_MS / 1000} s` : (error as Error).message;
  const hint = "A firewall may drop the packets between that host and the target.";
  return new CodedError("target.unreachable", `dialling ${label} from ${hop}: ${why}`, {
    leg: "target",
    ...(isCoded ? { hint } : { cause: error }),
  });
}

import { CodedError, isCodedError, type TargetAddress } from "@farside/protocol";
import { EarlyRead, type Hop } from "@farside/ssh";
import { formatEndpoint } from "./format-endpoint.ts";
import type { Place } from "./hop-spread.ts";
import type { Route } from "./route-pool.ts";
import { type Dialled, dialledStream, type Target } from "./target.ts";

const DIAL_TIMEOUT_MS = 30_000;
/** What was read early can only go on by a data path, and this hop was connected without one. */
const NO_LONGER_FAST = "the first connection can't take over what the client has sent";

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
    async dial(signal, client) {
      const place = await route.take(signal);
      const early =
        client === undefined || place.hop.dataPath === undefined ? undefined : new EarlyRead(client);
      try {
        return await dialOn(place, address, { label, signal, early });
      } catch (error) {
        // A further connection is an extra: what it can't do, the first one may.
        if (!place.isFurther || signal.aborted || !isCodedError(error) || error.leg !== "hop") throw error;
        return await dialOn(await route.takeFirst(signal), address, { label, signal, early });
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface DialOptions {
  readonly label: string;
  readonly signal: AbortSignal;
  /** Has begun to read the client that will be joined. */
  readonly early: EarlyRead | undefined;
}

/** A connection to `address` by `place`, which it holds until it ends. */
async function dialOn(place: Place, address: TargetAddress, options: DialOptions): Promise<Dialled> {
  const { hop } = place;
  const { label, signal } = options;
  try {
    const dialled = await dialFrom(hop, address, options);
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
async function dialFrom(hop: Hop, address: TargetAddress, { signal, early }: DialOptions): Promise<Dialled> {
  const options = { signal, timeoutMs: DIAL_TIMEOUT_MS };
  if (hop.dataPath !== undefined) {
    const to = address.kind === "unix" ? { socketPath: address.path } : address;
    const channel = await hop.dataPath.open(to, options);
    return { join: (client) => channel.join(client, early), destroy: () => channel.destroy() };
  }
  if (early !== undefined) throw new CodedError("hop.lost", NO_LONGER_FAST, { leg: "hop" });
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

import { CodedError, deadline, isCodedError, type TargetAddress } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { formatEndpoint } from "./format-endpoint.ts";
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
    async dial(signal) {
      const hop = await route.lastHop(signal);
      const limit = deadline(DIAL_TIMEOUT_MS, () => tooSlow(label, hop.name), { signal });
      try {
        return await dialFrom(hop, address, { signal: limit.signal, timeoutMs: 2 * DIAL_TIMEOUT_MS });
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        throw isCodedError(error)
          ? error
          : new CodedError(
              "target.unreachable",
              `dialling ${label} from ${hop.name}: ${(error as Error).message}`,
              { leg: "target", cause: error },
            );
      } finally {
        limit.release();
      }
    },
    close,
    [Symbol.asyncDispose]: close,
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
  return dialledStream({ stream });
}

function tooSlow(label: string, hop: string): CodedError {
  return new CodedError(
    "target.unreachable",
    `dialling ${label} from ${hop}: no answer within ${DIAL_TIMEOUT_MS / 1000} s`,
    {
      leg: "target",
      hint: "A firewall may drop the packets between that host and the target.",
    },
  );
}

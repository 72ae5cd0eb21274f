import { CodedError, isCodedError, type TargetAddress } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { formatTarget } from "./forward-spec.ts";

/** Nothing listens there on any sane host; a refusal by policy comes before the attempt. */
const CLOSED_PORT = { host: "127.0.0.1", port: 1 };
const PROBE_TIMEOUT_MS = 10_000;

export interface SshdPolicyOptions {
  /** The jump host; borrowed. */
  readonly hop: {
    readonly [Method in "dial" | "dialUnix"]: (
      ...args: Parameters<Hop[Method]>
    ) => Promise<{ destroy(): unknown }>;
  };
  /** `user@host`, for messages. */
  readonly host: string;
  /** What the agent will dial from the jump host: the first hop of the route, else each target. */
  readonly destinations: readonly TargetAddress[];
  readonly signal: AbortSignal;
}

/**
 * Holds the session to what sshd of the jump host allows this login to forward (AllowTcpForwarding, DisableForwarding,
 * PermitOpen, `restrict` …), by asking it: a channel to a closed port of the host itself, and where that is forbidden, one
 * to each destination, closed as soon as it is open. Rejects with `forward.forbidden-by-policy`, `hop.lost`, `timeout` or
 * the signal's reason.
 */
export async function respectSshdPolicy(options: SshdPolicyOptions): Promise<void> {
  const { host, destinations } = options;
  if (await forwardsAnywhere(options)) return;
  for (const destination of destinations) {
    if (await isAllowed(options, destination)) continue;
    throw new CodedError(
      "forward.forbidden-by-policy",
      `forwarding from ${host} to ${formatTarget(destination)}: its sshd forbids this login to forward there, and --respect-sshd-policy is given`,
      {
        leg: "jump",
        hint: "Ask the host's administrator about AllowTcpForwarding, DisableForwarding, PermitOpen and the options of the key, or leave out --respect-sshd-policy.",
      },
    );
  }
}

/** Whether sshd lets this login forward at all: to the host itself. */
export function forwardsAnywhere(options: Omit<SshdPolicyOptions, "destinations">): Promise<boolean> {
  return isAllowed(options, { kind: "tcp", ...CLOSED_PORT });
}

/** Whatever sshd says but no: a port that is closed was tried. */
async function isAllowed(
  { hop, signal }: Pick<SshdPolicyOptions, "hop" | "signal">,
  place: TargetAddress,
): Promise<boolean> {
  const options = { signal, timeoutMs: PROBE_TIMEOUT_MS };
  try {
    const stream = await (place.kind === "tcp"
      ? hop.dial(place.host, place.port, options)
      : hop.dialUnix(place.path, options));
    stream.destroy();
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (isCodedError(error) && error.code === "target.forbidden") return false;
    if (isCodedError(error) && error.code === "target.unreachable") return true;
    throw error;
  }
}

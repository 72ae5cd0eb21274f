import { type BindAddress, CodedError, MAX_FORWARDS } from "@farside/protocol";
import type { ForwardOptions } from "./forward-options.ts";
import { type ForwardSpec, formatBind, parseForwardSpec } from "./forward-spec.ts";

/**
 * What of the options listens on the jump host. Throws `usage.invalid` for what can't be read, for too many, and for a place that is asked for
 * twice: there, after a PIN, the session would be in its own way.
 */
export function readForwards({
  forwards = [],
  metricsPort,
}: {
  readonly forwards?: ForwardOptions["forwards"] | undefined;
  readonly metricsPort?: number | undefined;
}): ForwardSpec[] {
  const list: readonly (string | ForwardSpec)[] = Array.isArray(forwards) ? forwards : [forwards];
  if (list.length > MAX_FORWARDS) {
    throw new CodedError("usage.invalid", `${list.length} forwards, at most ${MAX_FORWARDS} are possible`, {
      hint: "Start another session for the rest.",
    });
  }
  const specs = list.map((forward) => (typeof forward === "string" ? parseForwardSpec(forward) : forward));
  const wishes = specs.map(({ bind }) => ({ bind, option: "-L" }));
  if (metricsPort !== undefined)
    wishes.push({ bind: { kind: "loopback", port: metricsPort }, option: "--metrics-port" });
  const taken = new Set<string>();
  for (const { bind, option } of wishes) {
    const places = placesOf(bind);
    if (places.some((place) => taken.has(place))) {
      throw new CodedError("usage.invalid", `${option}: ${formatBind(bind)} is that of another -L already`, {
        hint: "Give each a place of its own; port 0 takes a free one.",
      });
    }
    for (const place of places) taken.add(place);
  }
  return specs;
}

/** As far as it is known here: what a name and `*` stand for, the jump host knows. */
function placesOf(bind: BindAddress): string[] {
  if (bind.kind === "unix") return [bind.path];
  if (bind.port === 0) return [];
  const addresses = bind.kind === "loopback" ? ["127.0.0.1", "::1"] : [bind.address];
  return addresses.map((address) => `${address} ${bind.port}`);
}

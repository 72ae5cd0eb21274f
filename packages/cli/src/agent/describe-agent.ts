import { formatBind, formatTarget } from "@farside/orchestrator";
import type {
  ConfigDifference,
  ForwardField,
  HostLook,
  Installation,
  InstalledDescription,
} from "@farside/protocol";
import { table } from "../output/table.ts";

/** What one agent is, in a line, and below it what is not as it should be. */
export function installationLines({ name, supervisor, state, digest }: Installation, host: string): string[] {
  const keeper = supervisor === "systemd" ? "systemd" : "its own supervisor: not after a reboot";
  return [`agent ${name} on ${host}: ${state} (${keeper}), bundle ${digest.slice(0, 16)}`];
}

/** Whether what systemd keeps running outlives the user's last login, and what to do where it does not. */
export function lingeringLine({ isLingering, user }: Pick<HostLook, "isLingering" | "user">): string {
  if (isLingering)
    return `lingering is on for ${user}: it goes on without a login, and comes up with the host`;
  // The host says what it is, and root may paste it into a shell.
  const pasted = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(user) ? user : "USER";
  return `lingering is off for ${user}: it ends with that user's last login. Turn it on there, as root: loginctl enable-linger ${pasted}`;
}

/** Its forwards, a line each, and where it answers for its metrics. */
export function forwardLines({ config, forwards, lenders, metrics }: InstalledDescription): string[] {
  const rows = forwards.map(({ id, bound, state, openRelays, totalRelays }) => {
    const forward = config.forwards.find((each) => each.id === id);
    const binds = bound.length > 0 || forward === undefined ? bound : [forward.bind];
    const via = (forward?.route ?? []).map(({ user, host }) => `${user}@${host}`).join(" > ");
    const target = forward === undefined ? "?" : formatTarget(forward.target);
    return [
      ...[
        id,
        state.phase,
        binds.length === 0 ? "?" : binds.map(formatBind).join(" and "),
        via === "" ? target : `${target} via ${via}`,
      ],
      `${openRelays} of ${totalRelays}`,
    ];
  });
  const troubles = forwards.flatMap(({ id, state: { phase, waitsFor, lastError } }) => {
    if (phase === "open") return [];
    const why = lastError === undefined ? "" : `${lastError.code}: ${lastError.message}`;
    const waits = waitsFor === undefined ? "" : `waits for ${waitsFor}`;
    const text = [why, waits].filter(Boolean).join("; ");
    return text === "" ? [] : [`  ${id}: ${text}`];
  });
  const isNeeded = forwards.some(({ state }) => state.phase === "needs-signature");
  return [
    ...table(["FORWARD", "STATE", "LISTENS ON", "TARGET", "RELAYS"], rows),
    ...troubles,
    ...metricsLines(metrics),
    ...(isNeeded && lenders === 0 ? ["  nobody is attached: farside agent attach"] : []),
  ];
}

function metricsLines(metrics: InstalledDescription["metrics"]): string[] {
  if (metrics === undefined) return [];
  const { bound, error } = metrics;
  if (bound.length > 0) return [`  metrics and health on ${bound.map(formatBind).join(" and ")}`];
  return [`  metrics: not open${error === undefined ? "" : `: ${error.code}: ${error.message}`}`];
}

/** What it is called in forwards.yaml. */
const KEY_OF: Readonly<Record<ForwardField, string>> = {
  ...{ bind: "listen", target: "target", route: "via", identity: "identity", probeMs: "probe" },
  ...{ admission: "allow-users", maxRelays: "max-relays", connections: "connections" },
};

/** What applying changes, a line a forward. */
export function changeLines({ forwards, metricsPort, isEmpty }: ConfigDifference): string[] {
  if (isEmpty) return ["nothing changes"];
  const signs = { added: "+", removed: "-", changed: "~", unchanged: " " };
  return [
    ...forwards.map((each) => {
      const keys = each.change === "changed" ? each.fields.map((field) => KEY_OF[field]) : [];
      const fields = keys.length === 0 ? "" : ` (${keys.join(", ")})`;
      return `${signs[each.change]} ${each.id}: ${each.change}${fields}`;
    }),
    ...(metricsPort === "unchanged" ? [] : [`${signs[metricsPort]} metrics-port: ${metricsPort}`]),
  ];
}

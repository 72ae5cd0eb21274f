import type { InstalledConfig, InstalledForward } from "./installed-config.ts";

/** What of a forward can differ. */
export type ForwardField = Exclude<keyof InstalledForward, "id">;

/** What applying a configuration does to each forward, by id, in the order of the new file; removed ones last. */
export type ForwardChange =
  | { readonly change: "added"; readonly id: string }
  | { readonly change: "removed"; readonly id: string }
  | { readonly change: "changed"; readonly id: string; readonly fields: readonly ForwardField[] }
  | { readonly change: "unchanged"; readonly id: string };

type Compared = Pick<InstalledConfig, "forwards" | "metricsPort">;

export interface ConfigDifference {
  readonly forwards: readonly ForwardChange[];
  /** What becomes of the port for metrics. */
  readonly metricsPort: "added" | "removed" | "changed" | "unchanged";
  /** Nothing would change. */
  readonly isEmpty: boolean;
}

const FIELDS: readonly ForwardField[] = [
  "bind",
  "target",
  "route",
  "identity",
  "admission",
  "maxRelays",
  "connections",
  "probeMs",
];

/** What has to happen to get from `before` to `after`. The order of forwards and of a host's keys makes no difference. */
export function configDifference(before: Compared, after: Compared): ConfigDifference {
  const old = new Map(before.forwards.map((forward) => [forward.id, forward]));
  const changes = after.forwards.map((forward): ForwardChange => {
    const previous = old.get(forward.id);
    old.delete(forward.id);
    if (previous === undefined) return { change: "added", id: forward.id };
    const fields = FIELDS.filter((field) => textOf(previous[field]) !== textOf(forward[field]));
    return fields.length === 0
      ? { change: "unchanged", id: forward.id }
      : { change: "changed", id: forward.id, fields };
  });
  const removed = [...old.keys()].map((id): ForwardChange => ({ change: "removed", id }));
  const forwards = [...changes, ...removed];
  const metricsPort = metricsChange(before.metricsPort, after.metricsPort);
  return {
    ...{ forwards, metricsPort },
    isEmpty: changes.every(isUnchanged) && removed.length === 0 && metricsPort === "unchanged",
  };
}

function metricsChange(
  before: number | undefined,
  after: number | undefined,
): ConfigDifference["metricsPort"] {
  if (before === after) return "unchanged";
  if (before === undefined) return "added";
  return after === undefined ? "removed" : "changed";
}

function isUnchanged({ change }: ForwardChange): boolean {
  return change === "unchanged";
}

/** Lists whose order says nothing. */
const SETS: ReadonlySet<string> = new Set(["hostKeys", "fingerprints", "allowUsers"]);

/** The same text for the same value, whatever the order of its keys. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (key, inner: unknown) => {
    if (Array.isArray(inner)) return SETS.has(key) ? [...inner].sort() : inner;
    if (typeof inner !== "object" || inner === null) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

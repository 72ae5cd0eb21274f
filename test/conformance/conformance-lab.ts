import { type Lab, startLab } from "../lab/lab.ts";
import { waitFor } from "../support/wait-for.ts";
import { Player } from "./player.ts";
import { runScript, type Seen } from "./run-script.ts";
import type { Script } from "./script.ts";
import { judge, type SeenByWay, type Verdict } from "./verdict.ts";
import { openWay, prepareWays, type Way, type WayName, wayNames } from "./way.ts";

/** One row of docs/relay-conformance.md. */
export interface Row {
  readonly name: string;
  readonly seen: SeenByWay;
  readonly verdicts: readonly Verdict[];
}

/** Plays every script over every way, the ways side by side. */
export async function runConformance(scripts: readonly Script[], withinMs: number): Promise<Row[]> {
  await using lab = await startLab({ card: false });
  await prepareWays(lab);
  const results = await Promise.all(
    wayNames.map(async (name) => {
      await using way = await openWay(lab, name);
      return { name, ...(await playAll(lab, way, scripts, withinMs)) };
    }),
  );
  const rows = scripts.map((script): Row => {
    const entries = results.flatMap(({ name, seen }) => {
      const own = seen.get(script);
      return own === undefined ? [] : [[name, own] as const];
    });
    const byWay: SeenByWay = Object.fromEntries(entries);
    return { name: script.name, seen: byWay, verdicts: judge(script, byWay) };
  });
  return [...rows, descriptorRow(results)];
}

interface WayResult {
  readonly seen: ReadonlyMap<Script, Seen>;
  /** Descriptors of the forwarder that stay open after all of it. */
  readonly left: number | undefined;
}

async function playAll(lab: Lab, way: Way, scripts: readonly Script[], withinMs: number): Promise<WayResult> {
  await using client = await Player.start(lab.jump);
  await using service = await Player.start(lab.target);
  const seen = new Map<Script, Seen>();
  let before: number | undefined;
  for (const [index, script] of scripts.entries()) {
    // What a forwarder opens for itself it has open after a first connection.
    if (index === 1) before = await way.descriptors();
    // Without a forwarder, a client is not connected before the service is.
    if (script.isServiceSlow && before === undefined) continue;
    seen.set(script, await runScript(script, way, { client, service, serviceHost: lab.target, withinMs }));
  }
  if (before === undefined) return { seen, left: undefined };
  let left = 0;
  await waitFor(
    async () => {
      left = Math.max(0, ((await way.descriptors()) ?? 0) - (before ?? 0));
      return left === 0;
    },
    { what: "closed descriptors", withinMs: 5_000, everyMs: 100 },
  ).catch(() => {});
  return { seen, left };
}

/** Whether anything of all these connections is still open in the forwarder. */
function descriptorRow(results: readonly (WayResult & { readonly name: WayName })[]): Row {
  const script: Script = {
    name: "descriptors that the forwarder holds after all of this",
    client: [],
    service: [],
  };
  const seen: SeenByWay = Object.fromEntries(
    results.flatMap(({ name, left }) =>
      left === undefined ? [] : [[name, { client: left === 0 ? "none" : `${left}`, service: "" }] as const],
    ),
  );
  return { name: script.name, seen, verdicts: judge(script, seen) };
}

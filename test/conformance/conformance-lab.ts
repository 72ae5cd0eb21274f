import type { Host } from "../lab/host.ts";
import { type Lab, startLab } from "../lab/lab.ts";
import { waitFor } from "../support/wait-for.ts";
import { Player } from "./player.ts";
import { runScript, type Seen } from "./run-script.ts";
import type { Script } from "./script.ts";
import type { Size } from "./scripts.ts";
import { scriptsForShape } from "./scripts-for-shape.ts";
import type { Shape } from "./shape.ts";
import { judge, type SeenByWay, type Verdict } from "./verdict.ts";
import { openWay, prepareWays, type Way, type WayName, waysOf } from "./way.ts";

/** One row of docs/relay-conformance.md. */
export interface Row {
  readonly name: string;
  readonly seen: SeenByWay;
  readonly verdicts: readonly Verdict[];
}

/** One of its tables. */
export interface Table {
  readonly shape: Shape;
  readonly rows: readonly Row[];
}

/** What is played of a table. */
export interface Plan {
  readonly shape: Shape;
  readonly size: Size;
  /** All that there are where left out; `ssh -L` is always among them. */
  readonly ways?: readonly WayName[];
}

export interface ConformanceOptions {
  /** Bounds one script. */
  readonly withinMs: number;
  readonly say?: (line: string) => void;
}

/** Plays every script over every way: plan after plan, the ways of one side by side. */
export async function runConformance(plans: readonly Plan[], options: ConformanceOptions): Promise<Table[]> {
  await using lab = await startLab({ card: false });
  await prepareWays(lab);
  const tables: Table[] = [];
  for (const plan of plans) {
    tables.push({ shape: plan.shape, rows: await runPlan(lab, plan, options.withinMs) });
    options.say?.(`${plan.shape.name}: played`);
  }
  return tables;
}

async function runPlan(lab: Lab, { shape, size, ways }: Plan, withinMs: number): Promise<Row[]> {
  const scripts = scriptsForShape(shape, size);
  const results = await Promise.all(
    (ways ?? waysOf(shape)).map(async (name) => {
      await using way = await openWay(lab, shape, name);
      return { name, ...(await playAll(lab.jump, way, scripts, withinMs)) };
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

async function playAll(
  jump: Host,
  way: Way,
  scripts: readonly Script[],
  withinMs: number,
): Promise<WayResult> {
  await using client = await Player.start(jump);
  await using service = await Player.start(way.serviceHost);
  const seen = new Map<Script, Seen>();
  let before: number | undefined;
  for (const [index, script] of scripts.entries()) {
    // What a forwarder opens for itself it has open after a first connection.
    if (index === 1) before = await way.descriptors();
    // Without a forwarder, a client is not connected before the service is.
    if (script.isServiceSlow && before === undefined) continue;
    seen.set(script, await runScript(script, way, { client, service, withinMs }));
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

import { checkRelays, relayRoute, relayRouteKinds } from "@farside/agent/testing";
import { runConformance } from "../conformance/conformance-lab.ts";
import { conformancePage, tableVerdictLines } from "../conformance/report.ts";
import { WHOLE } from "../conformance/scripts.ts";
import { socketShapes, tcpShape } from "../conformance/shape.ts";
import type { SoakPart } from "./part.ts";

const SCRIPT_TIMEOUT_MS = 600_000;
/** Each is one to four relays at a time. */
const RANDOM_RUNS = 1_000;

/** Random scripts in this process, then every script of the tables over every way, 1 GiB in each direction included. */
export const conformancePart: SoakPart = async ({ seed, scale, say }) => {
  const size =
    scale >= 1 ? WHOLE : { ...WHOLE, largeBytes: Math.ceil(WHOLE.largeBytes * scale), silenceMs: 1_000 };
  const startedAt = performance.now();
  const runs = Math.ceil(RANDOM_RUNS * scale);
  const problems: string[] = [];
  for (const kind of relayRouteKinds) {
    await using route = await relayRoute(kind);
    await checkRelays(route, { runs, seed }).catch((error: unknown) => problems.push(`${kind}: ${error}`));
    say(`${kind}: ${runs} random runs`);
  }
  const plans = [tcpShape, ...socketShapes].map((shape) => ({ shape, size }));
  const tables = await runConformance(plans, { withinMs: SCRIPT_TIMEOUT_MS, say });
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  const date = new Date().toISOString().slice(0, 10);
  const text = conformancePage(tables, { date, seconds, seed, runs, ways: relayRouteKinds });
  return {
    problems: [...problems, ...tableVerdictLines(tables, "worse")],
    table: text,
    page: { path: "docs/relay-conformance.md", kind: "whole", text },
  };
};

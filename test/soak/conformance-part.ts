import { runConformance } from "../conformance/conformance-lab.ts";
import { conformancePage, verdictLines } from "../conformance/report.ts";
import { scriptsOf, WHOLE } from "../conformance/scripts.ts";
import type { SoakPart } from "./part.ts";

const SCRIPT_TIMEOUT_MS = 600_000;

/** Every script over every way, 1 GiB in each direction included. Nothing of it is left to chance: the seed is not used. */
export const conformancePart: SoakPart = async ({ scale }) => {
  const size =
    scale >= 1 ? WHOLE : { ...WHOLE, largeBytes: Math.ceil(WHOLE.largeBytes * scale), silenceMs: 1_000 };
  const startedAt = performance.now();
  const rows = await runConformance(scriptsOf(size), SCRIPT_TIMEOUT_MS);
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  const text = conformancePage(rows, { date: new Date().toISOString().slice(0, 10), seconds });
  return {
    problems: rows.flatMap((row) => verdictLines(row, "worse")),
    table: text,
    page: { path: "docs/relay-conformance.md", kind: "whole", text },
  };
};

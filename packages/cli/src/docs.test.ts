import { readFileSync } from "node:fs";
import { errorTable, sessionEvents } from "@farside/protocol";
import { expect, test } from "vitest";
import { allAgentOptions } from "./commands/agent.ts";
import { auditOptions } from "./commands/audit.ts";
import { doctorOptions } from "./commands/doctor.ts";
import { allForwardOptions } from "./commands/forward.ts";
import { ownRunOptions } from "./commands/run.ts";
import { statusOptions } from "./commands/status.ts";
import { teardownOptions } from "./commands/teardown.ts";
import { interruptExitCodes } from "./exit-code.ts";
import { RUN_FAILED } from "./run/exit-code.ts";

const page = readFileSync(new URL("../../../docs/cli.md", import.meta.url), "utf8");

/** First cells of the table rows between two headings. */
function rows(heading: string): string[] {
  const start = page.indexOf(`\n## ${heading}\n`);
  expect(start, heading).toBeGreaterThanOrEqual(0);
  const end = page.indexOf("\n## ", start + 1);
  const section = page.slice(start, end < 0 ? undefined : end);
  return [...section.matchAll(/^\| `?([^`|]*?)`? \|/gm)].map((match) => match[1] ?? "");
}

const optionsIn = (heading: string) =>
  rows(heading).filter((cell) => cell.startsWith("-") && !cell.startsWith("---"));
const dashed = (options: object) =>
  Object.keys(options).map((name) => (name.length === 1 ? `-${name}` : `--${name}`));

test("docs/cli.md has a row for each option, and none that doesn't exist", () => {
  expect(optionsIn("`farside forward`").sort()).toEqual(dashed(allForwardOptions).sort());
  expect(optionsIn("`farside run`").sort()).toEqual(dashed(ownRunOptions).sort());
  expect(optionsIn("`farside status`").sort()).toEqual(dashed(statusOptions).sort());
  expect(optionsIn("`farside audit verify`").sort()).toEqual(dashed(auditOptions).sort());
  expect(optionsIn("`farside doctor`").sort()).toEqual(dashed(doctorOptions).sort());
  expect(optionsIn("`farside agent`").sort()).toEqual(dashed(allAgentOptions).sort());
  expect(optionsIn("`farside teardown`").sort()).toEqual(dashed(teardownOptions).sort());
});

test("docs/cli.md has a row for each event", () => {
  const documented = rows("Events").filter((cell) => cell !== "event" && !cell.startsWith("---"));
  expect(documented.sort()).toEqual(Object.keys(sessionEvents).sort());
});

test("docs/cli.md has a row for each exit code", () => {
  const documented = rows("Exit codes").map(Number).filter(Number.isInteger);
  const used = [
    0,
    RUN_FAILED,
    ...Object.values(errorTable).map((row) => row.exit),
    ...Object.values(interruptExitCodes),
  ];
  expect(documented.sort()).toEqual([...new Set(used)].sort());
});

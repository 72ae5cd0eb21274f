/**
 * The JSON Schemas of the events that `--json` prints and of forwards.yaml, made from the schemas that validate them.
 * `npx tsx --conditions=@farside/source scripts/json-schema.ts` writes docs/session-events.schema.json and
 * docs/forwards.schema.json; `npm run format` puts their lines in order.
 */
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { forwardsFile } from "@farside/orchestrator";
import { sessionEvents } from "@farside/protocol";
import { toJsonSchema } from "@valibot/to-json-schema";

export const SCHEMA_FILE = new URL("../docs/session-events.schema.json", import.meta.url);
export const FORWARDS_SCHEMA_FILE = new URL("../docs/forwards.schema.json", import.meta.url);

/** The text of the published file. One schema an event; consumers must ignore fields that a later version adds. */
export function sessionEventsSchemaText(): string {
  const named = Object.entries(sessionEvents).map(([name, schema]) => {
    const { $schema: _, ...definition } = toJsonSchema(schema, { target: "draft-2020-12" });
    return [name, definition] as const;
  });
  const schema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "farside session events",
    description:
      "One line of `farside … --json`. Later versions may add events and fields: ignore what you don't know.",
    oneOf: named.map(([name]) => ({ $ref: `#/$defs/${name}` })),
    $defs: Object.fromEntries(named),
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

/** The same for forwards.yaml, for editors: `# yaml-language-server: $schema=…/forwards.schema.json`. */
export function forwardsSchemaText(): string {
  const { $schema: _, ...definition } = toJsonSchema(forwardsFile, {
    target: "draft-2020-12",
    typeMode: "input",
  });
  const schema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "farside forwards.yaml",
    description:
      "What `farside agent install -f` takes: the forwards of an agent that stays on a build server.",
    ...definition,
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  writeFileSync(SCHEMA_FILE, sessionEventsSchemaText());
  writeFileSync(FORWARDS_SCHEMA_FILE, forwardsSchemaText());
}

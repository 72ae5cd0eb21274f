/**
 * The JSON Schema of the events that `--json` prints, made from the protocol package's own schemas.
 * `npx tsx --conditions=@farside/source scripts/json-schema.ts` writes docs/session-events.schema.json;
 * `npm run format` puts its lines in order.
 */
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { sessionEvents } from "@farside/protocol";
import { toJsonSchema } from "@valibot/to-json-schema";

export const SCHEMA_FILE = new URL("../docs/session-events.schema.json", import.meta.url);

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

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href)
  writeFileSync(SCHEMA_FILE, sessionEventsSchemaText());

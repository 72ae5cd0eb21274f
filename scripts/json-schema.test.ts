import { readFileSync } from "node:fs";
import { sessionEvents } from "@farside/protocol";
import { describe, expect, test } from "vitest";
import {
  FORWARDS_SCHEMA_FILE,
  forwardsSchemaText,
  SCHEMA_FILE,
  sessionEventsSchemaText,
} from "./json-schema.ts";

describe("docs/session-events.schema.json", () => {
  test("is what scripts/json-schema.ts writes", () => {
    expect(JSON.parse(readFileSync(SCHEMA_FILE, "utf8"))).toEqual(JSON.parse(sessionEventsSchemaText()));
  });

  test("has every event, told apart by its name, with event and at required", () => {
    const schema = JSON.parse(sessionEventsSchemaText());
    expect(Object.keys(schema.$defs)).toEqual(Object.keys(sessionEvents));
    expect(schema.oneOf).toHaveLength(Object.keys(sessionEvents).length);
    for (const [name, definition] of Object.entries<Record<string, unknown>>(schema.$defs)) {
      expect(definition).toMatchObject({
        type: "object",
        properties: { event: { const: name }, at: { type: "string", format: "date-time" } },
        required: expect.arrayContaining(["event", "at"]),
      });
      // Fields that a later version adds must not make its events invalid.
      expect(definition).not.toHaveProperty("additionalProperties");
    }
  });
});

describe("docs/forwards.schema.json", () => {
  const schema = JSON.parse(forwardsSchemaText());

  test("is what scripts/json-schema.ts writes", () => {
    expect(JSON.parse(readFileSync(FORWARDS_SCHEMA_FILE, "utf8"))).toEqual(schema);
  });

  test("tells an editor what each key is for, and that there are no others", () => {
    const forward = schema.properties.forwards.items;
    for (const part of [schema, forward, schema.properties.defaults]) {
      expect(part.additionalProperties).toBe(false);
      for (const [key, definition] of Object.entries<Record<string, unknown>>(part.properties))
        if (key !== "forwards") expect(definition, key).toHaveProperty("description");
    }
    expect(forward.required).toEqual(["id", "listen", "target"]);
  });
});

import { readdirSync, readFileSync } from "node:fs";
import type * as v from "valibot";
import { describe, expect, test } from "vitest";
import type { RequestDefinition } from "./define.ts";
import { openEnvelope } from "./envelope.ts";
import { FrameDecoder } from "./frame.ts";
import { receive } from "./handlers.ts";
import * as installed from "./installed/installed-messages.ts";
import * as messages from "./messages.ts";
import { comparable } from "./testing/arbitrary.ts";
import { frozenMessages } from "./testing/frames-v1/messages.ts";

const { installedRequests, installerRequests } = installed;
const FRAMES = new URL("./testing/frames-v1/", import.meta.url);
const DOC = readFileSync(new URL("../../../docs/protocol.md", import.meta.url), "utf8");

const requests = [...messages.requestsToAgent, ...messages.requestsToOrchestrator];
const allRequests = [...requests, ...installedRequests, ...installerRequests];
const events = [...messages.eventsToOrchestrator, ...messages.eventsToAgent];
const frames = readdirSync(FRAMES)
  .filter((file) => file.endsWith(".hex"))
  .map((file) => file.slice(0, -".hex".length));

describe("the table of messages", () => {
  test("names each message once and lists it with the side that must take it", () => {
    const names = [...allRequests, ...events].map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect([...installedRequests, ...installerRequests].every(({ asker }) => asker === "orchestrator")).toBe(
      true,
    );
    expect(messages.requestsToAgent.every(({ asker }) => asker === "orchestrator")).toBe(true);
    expect(messages.requestsToOrchestrator.every(({ asker }) => asker === "agent")).toBe(true);
    expect(messages.eventsToOrchestrator.every(({ sender }) => sender === "agent")).toBe(true);
    expect(messages.eventsToAgent.every(({ sender }) => sender === "orchestrator")).toBe(true);
  });

  test.each([
    { file: "messages.ts", exports: messages, wanted: [...requests, ...events] },
    {
      file: "installed-messages.ts",
      exports: installed,
      wanted: [...installedRequests, ...installerRequests],
    },
  ])("has every definition that $file exports", ({ exports, wanted }) => {
    const exported = Object.values<unknown>(exports).filter(
      (value) => typeof value === "object" && value !== null && "since" in value,
    );
    expect(new Set(exported)).toEqual(new Set<unknown>(wanted));
  });

  test("has a frozen frame for every message", () => {
    const wanted = [
      ...allRequests.flatMap(({ name }) => [`request.${name}`, `response.${name}`]),
      ...events.map(({ name }) => `event.${name}`),
      "failure",
      "cancel",
    ];
    expect(frames.sort()).toEqual(wanted.sort());
  });

  test.each(frames)("still understands the frozen frame %s", (name) => {
    const hex = readFileSync(new URL(`${name}.hex`, FRAMES), "utf8").replace(/\s/g, "");
    const decoder = new FrameDecoder();
    const [message] = [...decoder.push(Buffer.from(hex, "hex"))];
    decoder.end();
    expect(comparable(message ?? null)).toEqual(frozenMessages[name]);
    expect(() => take(name, message)).not.toThrow();
  });
});

/** Validates as the receiver does. */
function take(name: string, message: unknown): unknown {
  const envelope = openEnvelope(message);
  const definition = [...allRequests, ...events].find((one) => name.endsWith(`.${one.name}`));
  if (envelope.kind === "request" && definition?.kind === "request") {
    return receive(definition.params, envelope.params, name);
  }
  if (envelope.kind === "response" && definition?.kind === "request") {
    return receive(definition.result, envelope.result, name);
  }
  if (envelope.kind === "event" && definition?.kind === "event")
    return receive(definition.data, envelope.data, name);
  if (envelope.kind === name) return undefined;
  throw new Error(`${name} is none of the table`);
}

const rowsOf = (definitions: readonly RequestDefinition[]) =>
  definitions.map(({ name, asker, since, params, result }) => [
    `\`${name}\``,
    asker,
    String(since),
    fieldsOf(params),
    fieldsOf(result),
  ]);

describe("docs/protocol.md", () => {
  test("has a row for every request: who asks, since when, the fields and the answer", () => {
    expect(tableUnder("## 5 Requests", 5)).toEqual(rowsOf(requests));
  });

  test("has a row for every request to installed agents and to the installer", () => {
    expect(tableUnder("### Requests to an installed agent", 5)).toEqual(rowsOf(installedRequests));
    expect(tableUnder("### Requests to the installer", 5)).toEqual(rowsOf(installerRequests));
  });

  test("has a row for every event: who sends it, since when, and the fields", () => {
    const rows = events.map(({ name, sender, since, data }) => [
      `\`${name}\``,
      sender,
      String(since),
      fieldsOf(data),
    ]);
    expect(tableUnder("## 6 Events", 4)).toEqual(rows);
  });

  test("has a row for every part that messages share", () => {
    const { bindAddress, targetAddress, hopDeclaration, admission, forwardState, wireError } = messages;
    const parts = { bindAddress, targetAddress, hopDeclaration, admission, forwardState, wireError };
    const rows = Object.entries(parts).map(([name, part]) => {
      const schema: Described = part;
      const shapes = schema.type === "variant" ? ((schema.options ?? []) as readonly Described[]) : [schema];
      return [`\`${name}\``, shapes.map(shape).join(" or ")];
    });
    expect(tableUnder("### Parts", 2)).toEqual(rows);
  });
});

interface Described {
  readonly type: string;
  readonly entries?: Readonly<Record<string, Described>>;
  readonly options?: readonly unknown[];
  readonly literal?: unknown;
}

/** The names of an object's fields as the tables have them; optional ones with a question mark. */
function fieldsOf(schema: v.GenericSchema): string {
  return shape(schema as unknown as Described);
}

function shape(schema: Described): string {
  const fields = Object.entries(schema.entries ?? {}).map(([name, field]) => {
    if (field.type === "literal") return `${name}: ${String(field.literal)}`;
    return field.type === "optional" ? `${name}?` : name;
  });
  return fields.length === 0 ? "–" : fields.map((field) => `\`${field}\``).join(", ");
}

/** The first `columns` cells of each row of the first table under `heading`. */
function tableUnder(heading: string, columns: number): string[][] {
  const section = DOC.split(`\n${heading}`)[1] ?? "";
  const lines = section.split("\n");
  const start = lines.findIndex((line) => line.startsWith("| ---"));
  const rows = lines.slice(start + 1);
  const end = rows.findIndex((line) => !line.startsWith("|"));
  return rows.slice(0, end).map((row) =>
    row
      .split("|")
      .slice(1, columns + 1)
      .map((cell) => cell.trim()),
  );
}

import type { Writable } from "node:stream";
import type { SessionEvent } from "@farside/protocol";
import { hintFor } from "@farside/protocol/remedies";
import { jsonLine } from "./json-line.ts";
import { LineSink } from "./line-sink.ts";
import type { Reporter } from "./reporter.ts";

/** Events that a slow reader may miss; the rest is kept for it. */
const DROPPABLE = new Set<SessionEvent["event"]>(["relay.open", "relay.close", "relay.refused", "sign"]);
const FLUSH_DEADLINE_MS = 2000;

/** The events as JSON, one object a line, on `stream`; nothing else goes there. */
export class JsonReporter implements Reporter {
  readonly #sink: LineSink;

  constructor(stream: Writable) {
    this.#sink = new LineSink(stream, (count) => jsonLine({ event: "dropped", at: now(), count }));
  }

  event(event: SessionEvent): void {
    this.#sink.write(jsonLine(event), {
      droppable: DROPPABLE.has(event.event),
      last: event.event === "receipt" || event.event === "error",
    });
  }

  error(error: Parameters<Reporter["error"]>[0]): void {
    const { code, message, leg } = error;
    const hint = hintFor(error);
    this.event({
      event: "error",
      at: now(),
      code,
      message,
      ...(hint === undefined ? {} : { hint }),
      ...(leg === undefined ? {} : { leg }),
    });
  }

  step(): void {}

  progress(): void {}

  log(): void {}

  pause(): () => void {
    return () => undefined;
  }

  close(): Promise<void> {
    return this.#sink.flush(FLUSH_DEADLINE_MS);
  }
}

function now(): string {
  return new Date().toISOString();
}

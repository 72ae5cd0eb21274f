import { type CodedError, fromWire, toWire, type WireError } from "./errors.ts";
import { harmless } from "./harmless.ts";
import { MAX_STRING_LENGTH } from "./limits.ts";
import type { WireValue } from "./message-stream.ts";

const MAX_DATA_FIELDS = 32;
const MAX_NAME_LENGTH = 255;

/** `error` for the wire, cut to what the other side takes: an error that is too long must not end the session. */
export function fittingWireError(error: unknown): WireValue {
  const wire = toWire(error);
  const fitting: Record<string, string | number | boolean> = {};
  for (const [key, value] of Object.entries(wire.data ?? {}).slice(0, MAX_DATA_FIELDS)) {
    if (key.length === 0 || key.length > MAX_NAME_LENGTH || key === "__proto__") continue;
    if (typeof value === "number" && !Number.isFinite(value)) continue;
    fitting[key] = typeof value === "string" ? cut(value) : value;
  }
  return {
    code: wire.code,
    message: cut(wire.message),
    ...(wire.hint === undefined ? {} : { hint: cut(wire.hint) }),
    ...(wire.leg === undefined ? {} : { leg: wire.leg }),
    ...(wire.data === undefined ? {} : { data: fitting }),
  };
}

/** The error that `wire`, which comes from outside, stands for, with texts that are safe to show. */
export function harmlessFromWire(wire: WireError): CodedError {
  return fromWire({
    ...wire,
    code: harmless(wire.code, MAX_NAME_LENGTH),
    message: harmless(wire.message),
    hint: wire.hint === undefined ? undefined : harmless(wire.hint),
  });
}

function cut(text: string): string {
  return text.length <= MAX_STRING_LENGTH ? text : `${text.slice(0, MAX_STRING_LENGTH - 1)}…`;
}

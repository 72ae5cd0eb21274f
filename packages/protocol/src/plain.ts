import { MAX_DEPTH } from "./limits.ts";
import type { WireValue } from "./message-stream.ts";
import { FORBIDDEN_KEYS } from "./scan.ts";

const LONE_SURROGATE = /\p{Surrogate}/gu;

/**
 * A copy of `value` of which msgpackr makes nothing but what `scanBody` lets through: undefined fields are left out and
 * halves of surrogate pairs become U+FFFD. A value that can't be sent (a Date, a Map, a bigint, NaN …) throws a
 * TypeError: that is a bug of the caller.
 */
export function plain(value: unknown, depth = 0): WireValue {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "string") return value.replace(LONE_SURROGATE, "\ufffd");
  if (typeof value === "number") {
    if (Number.isFinite(value)) return value;
    throw new TypeError(`a message can't hold ${value}`);
  }
  if (value instanceof Uint8Array) return value;
  if (typeof value !== "object") throw new TypeError(`a message can't hold a ${typeof value}`);
  if (depth === MAX_DEPTH) throw new TypeError(`a message can't be nested deeper than ${MAX_DEPTH}`);
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`a message can't hold a ${prototype.constructor?.name ?? "class instance"}`);
  }
  const copy: Record<string, WireValue> = {};
  for (const [key, field] of Object.entries(value)) {
    if (FORBIDDEN_KEYS.has(key)) throw new TypeError(`a message can't have a key ${key}`);
    if (field !== undefined) copy[key] = plain(field, depth + 1);
  }
  return copy;
}

import { MAX_DEPTH, MAX_KEY_BYTES, MAX_MAP_KEYS, MAX_VALUES } from "./limits.ts";
import type { WireValue } from "./message-stream.ts";
import { FORBIDDEN_KEYS } from "./scan.ts";

const LONE_SURROGATE = /\p{Surrogate}/gu;
const LONE_SURROGATE_KEY = /\p{Surrogate}/u;
/** UTF-8 takes at most three bytes for a UTF-16 code unit. */
const SHORT_KEY = Math.floor(MAX_KEY_BYTES / 3);

/**
 * A copy of `value` of which msgpackr makes nothing but what `scanBody` lets through: undefined fields are left out and
 * halves of surrogate pairs become U+FFFD. A value that can't be sent (a Date, a Map, a bigint, NaN, more than the limits
 * of limits.ts …) throws a TypeError: that is a bug of the caller.
 */
export function plain(value: unknown): WireValue {
  return copyOf(value, 0, { left: MAX_VALUES });
}

function copyOf(value: unknown, depth: number, budget: { left: number }): WireValue {
  budget.left -= 1;
  if (budget.left < 0) throw new TypeError(`a message can't hold more than ${MAX_VALUES} values`);
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "string") return value.replace(LONE_SURROGATE, "\ufffd");
  if (typeof value === "number") {
    if (Number.isFinite(value)) return value;
    throw new TypeError(`a message can't hold ${value}`);
  }
  if (value instanceof Uint8Array) return value;
  if (typeof value !== "object") throw new TypeError(`a message can't hold a ${typeof value}`);
  if (depth === MAX_DEPTH) throw new TypeError(`a message can't be nested deeper than ${MAX_DEPTH}`);
  if (Array.isArray(value)) return value.map((item) => copyOf(item, depth + 1, budget));
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`a message can't hold a ${prototype.constructor?.name ?? "class instance"}`);
  }
  return copyOfMap(value as Record<string, unknown>, depth, budget);
}

function copyOfMap(map: Record<string, unknown>, depth: number, budget: { left: number }): WireValue {
  const copy: Record<string, WireValue> = {};
  let count = 0;
  for (const key of Object.keys(map)) {
    if (FORBIDDEN_KEYS.has(key)) throw new TypeError(`a message can't have a key ${key}`);
    if (LONE_SURROGATE_KEY.test(key)) throw new TypeError("a message can't have a key that is not Unicode");
    if (key.length > SHORT_KEY && Buffer.byteLength(key) > MAX_KEY_BYTES)
      throw new TypeError(`a message can't have a key of more than ${MAX_KEY_BYTES} bytes`);
    const field = map[key];
    if (field === undefined) continue;
    count += 1;
    if (count > MAX_MAP_KEYS) throw new TypeError(`a message can't have more than ${MAX_MAP_KEYS} keys`);
    copy[key] = copyOf(field, depth + 1, budget);
  }
  return copy;
}

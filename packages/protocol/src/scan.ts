import { isUtf8 } from "node:buffer";
import { badMessage } from "./bad-message.ts";
import type { CodedError } from "./errors.ts";
import { MAX_DEPTH, MAX_KEY_BYTES, MAX_MAP_KEYS, MAX_VALUES } from "./limits.ts";

/** Keys that no map of a message may have: careless code would change a prototype with them. */
export const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/** A map or an array whose items are being scanned. `left` counts keys and values of a map, both. */
interface Open {
  left: number;
  readonly keys: Set<string> | undefined;
}

/**
 * Looks over a frame's body before msgpackr sees it, in one pass and without recursion: exactly one value, made only of
 * nil, booleans, finite numbers (integers up to 2^53 - 1), valid UTF-8 strings, bytes, arrays and maps with distinct
 * string keys, within the limits of limits.ts, and no count that the frame can't hold. Throws `protocol.bad-message`.
 */
export function scanBody(body: Buffer): void {
  new Scan(body).run();
}

class Scan {
  readonly #body: Buffer;
  readonly #open: Open[] = [];
  #at = 0;
  #values = 0;

  constructor(body: Buffer) {
    this.#body = body;
  }

  run(): void {
    do {
      const top = this.#open.at(-1);
      if (top === undefined) this.#value();
      else {
        top.left -= 1;
        if (top.keys !== undefined && top.left % 2 === 1) this.#key(top.keys);
        else this.#value();
      }
      while (this.#open.at(-1)?.left === 0) this.#open.pop();
    } while (this.#open.length > 0);
    if (this.#at !== this.#body.length) throw this.#bad("bytes behind the message");
  }

  #value(): void {
    this.#values += 1;
    if (this.#values > MAX_VALUES) throw this.#bad(`more than ${MAX_VALUES} values in a message`);
    const type = this.#uint(1);
    if (type < 0x80 || type >= 0xe0) return;
    if (type < 0x90) this.#enterMap(type & 0x0f);
    else if (type < 0xa0) this.#enterArray(type & 0x0f);
    else if (type < 0xc0) this.#string(type & 0x1f);
    else this.#wide(type);
  }

  /** A value whose type byte holds nothing of it. */
  #wide(type: number): void {
    switch (type) {
      case 0xc0: // nil
      case 0xc2: // false
      case 0xc3: // true
        break;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        this.#take(this.#uint(1 << (type - 0xc4)));
        break;
      case 0xca:
        this.#finite(this.#body.readFloatBE(this.#take(4)));
        break;
      case 0xcb:
        this.#finite(this.#body.readDoubleBE(this.#take(8)));
        break;
      case 0xcc: // uint8 … uint32
      case 0xcd:
      case 0xce:
        this.#take(1 << (type - 0xcc));
        break;
      case 0xcf:
        this.#safe(this.#uint(4) * 2 ** 32 + this.#uint(4));
        break;
      case 0xd0: // int8 … int32
      case 0xd1:
      case 0xd2:
        this.#take(1 << (type - 0xd0));
        break;
      case 0xd3:
        this.#safe(this.#body.readInt32BE(this.#take(4)) * 2 ** 32 + this.#uint(4));
        break;
      case 0xd9:
      case 0xda:
      case 0xdb:
        this.#string(this.#uint(1 << (type - 0xd9)));
        break;
      case 0xdc:
      case 0xdd:
        this.#enterArray(this.#uint(type === 0xdc ? 2 : 4));
        break;
      case 0xde:
      case 0xdf:
        this.#enterMap(this.#uint(type === 0xde ? 2 : 4));
        break;
      default:
        throw this.#bad(`type 0x${type.toString(16)} in a message`);
    }
  }

  #key(seen: Set<string>): void {
    const type = this.#uint(1);
    let length: number;
    if (type >= 0xa0 && type < 0xc0) length = type & 0x1f;
    else if (type >= 0xd9 && type <= 0xdb) length = this.#uint(1 << (type - 0xd9));
    else throw this.#bad("a map's key that is not a string");
    if (length > MAX_KEY_BYTES) throw this.#bad("a map's key that is too long");
    this.#string(length);
    const key = this.#body.toString("utf8", this.#at - length, this.#at);
    if (FORBIDDEN_KEYS.has(key)) throw this.#bad("a map's key that is not allowed");
    if (seen.has(key)) throw this.#bad("a map with a key twice");
    seen.add(key);
  }

  #enterMap(count: number): void {
    if (count > MAX_MAP_KEYS) throw this.#bad(`more than ${MAX_MAP_KEYS} keys in a map`);
    this.#enter({ left: count * 2, keys: new Set() });
  }

  #enterArray(count: number): void {
    this.#enter({ left: count, keys: undefined });
  }

  #enter(open: Open): void {
    if (open.left > this.#body.length - this.#at) throw this.#bad("a count that the frame can't hold");
    if (this.#open.length === MAX_DEPTH) throw this.#bad(`nesting deeper than ${MAX_DEPTH}`);
    this.#open.push(open);
  }

  #string(length: number): void {
    const start = this.#take(length);
    if (!isUtf8(this.#body.subarray(start, this.#at))) throw this.#bad("a string that is not UTF-8");
  }

  #finite(value: number): void {
    if (!Number.isFinite(value)) throw this.#bad("a number that is not finite");
  }

  #safe(value: number): void {
    if (!Number.isSafeInteger(value)) throw this.#bad("an integer beyond 2^53");
  }

  #uint(length: number): number {
    return this.#body.readUIntBE(this.#take(length), length);
  }

  /** Goes on by `length` bytes and returns where they start. */
  #take(length: number): number {
    const start = this.#at;
    if (length > this.#body.length - start) throw this.#bad("a value that the frame can't hold");
    this.#at = start + length;
    return start;
  }

  #bad(what: string): CodedError {
    return badMessage(`${what} (byte ${this.#at} of a frame of ${this.#body.length})`);
  }
}

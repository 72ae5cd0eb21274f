import { CodedError } from "./errors.ts";
import { harmless } from "./harmless.ts";
import { MAX_PREAMBLE_NOISE_BYTES, MAX_PREAMBLE_STATUS_BYTES } from "./limits.ts";

const NONCE = /^[0-9a-f]{32}$/;
/** Of the noise, what an error shows. */
const SHOWN_NOISE = 300;

export interface Preamble {
  /** `agent`: frames follow at once. Anything else says why there is no agent; harmless, but from outside. */
  readonly status: string;
  /** What the login shell printed before; hostile. */
  readonly noise: Buffer;
  /** What came behind the preamble: the first bytes of frames. */
  readonly rest: Buffer;
}

function marker(nonce: string): Buffer {
  if (!NONCE.test(nonce)) throw new TypeError("a nonce is 32 hexadecimal digits");
  return Buffer.from(`farside-preamble:${nonce}:`);
}

/** The line that separates what a login shell prints from the protocol. `status` must have no line break. */
export function encodePreamble(nonce: string, status: string): Buffer {
  if (/[\n\r]/.test(status)) throw new TypeError("a status is one line");
  const line = Buffer.concat([marker(nonce), Buffer.from(status)]);
  return Buffer.concat([
    line.subarray(0, marker(nonce).length + MAX_PREAMBLE_STATUS_BYTES),
    Buffer.from("\n"),
  ]);
}

/**
 * Looks for the preamble with `nonce` in a byte stream, wherever it stands in the first MAX_PREAMBLE_NOISE_BYTES. Keeps no
 * more than those and a status.
 */
export class PreambleScanner {
  readonly #marker: Buffer;
  readonly #limit: number;
  #bytes = Buffer.alloc(0);
  #fill = 0;
  /** Where the marker starts; undefined until it is found. */
  #start: number | undefined;

  constructor(nonce: string) {
    this.#marker = marker(nonce);
    this.#limit = MAX_PREAMBLE_NOISE_BYTES + this.#marker.length + MAX_PREAMBLE_STATUS_BYTES + 1;
  }

  /** What was pushed so far, as far as it is kept; hostile. */
  get seen(): Buffer {
    return this.#bytes.subarray(0, this.#fill);
  }

  /** The preamble once it is complete; push nothing after it. Throws `protocol.no-preamble` where there can be none. */
  push(chunk: Uint8Array): Preamble | undefined {
    const room = this.#limit - this.#fill;
    const searched = this.#fill;
    this.#keep(chunk.subarray(0, room));
    const seen = this.#bytes.subarray(0, this.#fill);
    if (this.#start === undefined) {
      const found = seen.indexOf(this.#marker, Math.max(0, searched - this.#marker.length + 1));
      if (found > MAX_PREAMBLE_NOISE_BYTES || (found < 0 && this.#isFull(this.#marker.length))) {
        throw this.#failure(`no preamble in the first ${MAX_PREAMBLE_NOISE_BYTES} bytes`);
      }
      if (found < 0) return undefined;
      this.#start = found;
    }
    const statusAt = this.#start + this.#marker.length;
    const newline = seen.indexOf(0x0a, Math.max(statusAt, searched));
    if (newline < 0 || newline - statusAt > MAX_PREAMBLE_STATUS_BYTES) {
      if (this.#fill - statusAt > MAX_PREAMBLE_STATUS_BYTES) throw this.#failure("a preamble without an end");
      return undefined;
    }
    const status = seen.toString("utf8", statusAt, newline).replace(/\r$/, "");
    return {
      status: harmless(status, MAX_PREAMBLE_STATUS_BYTES),
      noise: Buffer.from(seen.subarray(0, this.#start)),
      rest: Buffer.concat([seen.subarray(newline + 1), chunk.subarray(room)]),
    };
  }

  /** Says that the stream ended without a preamble: always throws `protocol.no-preamble`. */
  end(): never {
    throw this.#failure(this.#fill === 0 ? "it ended without a byte" : `it ended after ${this.#fill} bytes`);
  }

  #isFull(beyond: number): boolean {
    return this.#fill >= MAX_PREAMBLE_NOISE_BYTES + beyond;
  }

  #keep(chunk: Uint8Array): void {
    const needed = this.#fill + chunk.length;
    if (needed > this.#bytes.length) {
      const grown = Buffer.alloc(Math.min(this.#limit, Math.max(4096, needed, 2 * this.#bytes.length)));
      this.#bytes.copy(grown, 0, 0, this.#fill);
      this.#bytes = grown;
    }
    this.#bytes.set(chunk, this.#fill);
    this.#fill = needed;
  }

  #failure(what: string): CodedError {
    const noise = this.#bytes.toString("utf8", 0, Math.min(this.#fill, 4 * SHOWN_NOISE));
    const hint =
      this.#fill === 0
        ? "The login shell printed nothing: is the account allowed to run commands?"
        : `The login shell printed: ${harmless(noise, SHOWN_NOISE)}`;
    return new CodedError("protocol.no-preamble", `looking for the agent in the host's output: ${what}`, {
      hint,
      leg: "jump",
    });
  }
}

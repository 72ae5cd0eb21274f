import { Packr, Unpackr } from "msgpackr";
import { badMessage } from "./bad-message.ts";
import { harmless } from "./harmless.ts";
import { MAX_FRAME_BYTES } from "./limits.ts";
import type { WireValue } from "./message-stream.ts";
import { plain } from "./plain.ts";
import { scanBody } from "./scan.ts";

const PREFIX_BYTES = 4;
/** First size of a body's buffer: small, so that a length alone makes nobody set a mebibyte aside. */
const FIRST_BODY_BYTES = 4096;
/** Of what stands where a frame should start, how many bytes an error shows. */
const SHOWN_BYTES = 200;

const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({
  useRecords: false,
  mapsAsObjects: true,
  int64AsType: "number",
  copyBuffers: true,
});

/** `message` as a MessagePack body without its length, for carriers that keep messages apart themselves. Throws as `encodeFrame`. */
export function encodeBody(message: WireValue): Buffer {
  const body = packr.pack(plain(message));
  if (body.length > MAX_FRAME_BYTES) {
    throw new RangeError(`a message of ${body.length} bytes is over the limit of ${MAX_FRAME_BYTES}`);
  }
  return body;
}

/** The message in `body`; throws `protocol.bad-message`. */
export function decodeBody(body: Buffer): WireValue {
  scanBody(body);
  return unpackr.unpack(body);
}

/**
 * `message` as one frame: its length as uint32, big-endian, and its MessagePack body. Undefined fields are left out.
 * Throws a plain TypeError or RangeError (a bug of the caller) for what the other side would refuse.
 */
export function encodeFrame(message: WireValue): Buffer {
  const body = encodeBody(message);
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + body.length);
  frame.writeUInt32BE(body.length);
  frame.set(body, PREFIX_BYTES);
  return frame;
}

/**
 * Cuts a byte stream into messages. A frame's length is checked before a byte of its body is kept, so it holds at most
 * one frame; after a failure it takes nothing more.
 */
export class FrameDecoder {
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixFill = 0;
  /** Undefined while the length is read. */
  #bodyLength: number | undefined;
  #body = Buffer.alloc(0);
  #bodyFill = 0;
  #failure: unknown;

  /** Bytes of an unfinished frame that are kept. */
  get buffered(): number {
    return this.#prefixFill + this.#bodyFill;
  }

  /**
   * The messages that `chunk` completes, each decoded as it is asked for; throws `protocol.bad-message` at the first bad
   * one. Iterate to the end before the next push: a chunk is only consumed by iterating.
   */
  *push(chunk: Uint8Array): Generator<WireValue, void, undefined> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      yield* this.#cut(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  /** Says that the stream is at its end; throws `protocol.bad-message` in the middle of a frame. */
  end(): void {
    if (this.buffered > 0)
      throw badMessage(`its stream ended within a frame, after ${this.buffered} bytes of it`);
  }

  *#cut(chunk: Buffer): Generator<WireValue, void, undefined> {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#bodyLength === undefined) {
        rest = this.#takePrefix(rest);
        continue;
      }
      const missing = this.#bodyLength - this.#bodyFill;
      if (rest.length < missing) {
        this.#keep(rest);
        return;
      }
      const end = rest.subarray(0, missing);
      rest = rest.subarray(missing);
      yield decodeBody(this.#finish(end));
    }
  }

  #takePrefix(chunk: Buffer): Buffer {
    const taken = chunk.copy(this.#prefix, this.#prefixFill);
    this.#prefixFill += taken;
    if (this.#prefixFill === PREFIX_BYTES) {
      const length = this.#prefix.readUInt32BE();
      if (length === 0 || length > MAX_FRAME_BYTES) {
        const instead = Buffer.concat([this.#prefix, chunk.subarray(taken, taken + SHOWN_BYTES)]);
        throw badMessage(
          `a frame of ${length} bytes, where 1 to ${MAX_FRAME_BYTES} are allowed; it starts with "${harmless(instead.toString(), SHOWN_BYTES)}"`,
        );
      }
      this.#bodyLength = length;
    }
    return chunk.subarray(taken);
  }

  #keep(chunk: Buffer): void {
    const needed = this.#bodyFill + chunk.length;
    if (needed > this.#body.length) {
      const size = Math.min(
        this.#bodyLength ?? needed,
        Math.max(FIRST_BODY_BYTES, 2 * this.#body.length, needed),
      );
      const grown = Buffer.allocUnsafe(size);
      this.#body.copy(grown, 0, 0, this.#bodyFill);
      this.#body = grown;
    }
    chunk.copy(this.#body, this.#bodyFill);
    this.#bodyFill = needed;
  }

  /** The whole body, whose last part is `end`; gets ready for the next frame. */
  #finish(end: Buffer): Buffer {
    let body = end;
    if (this.#bodyFill > 0) {
      this.#keep(end);
      body = this.#body.subarray(0, this.#bodyFill);
      this.#body = Buffer.alloc(0);
      this.#bodyFill = 0;
    }
    this.#prefixFill = 0;
    this.#bodyLength = undefined;
    return body;
  }
}

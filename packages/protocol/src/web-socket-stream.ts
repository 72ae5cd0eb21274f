import { abortable } from "./abortable.ts";
import { badMessage } from "./bad-message.ts";
import { deadline } from "./deadline.ts";
import { CodedError } from "./errors.ts";
import { decodeBody, encodeBody } from "./frame.ts";
import { CLOSE_TIMEOUT_MS } from "./framed-stream.ts";
import type { MessageStream, WireValue } from "./message-stream.ts";

/** What is used of a WebSocket of the package `ws`, which only the agent's control socket and the orchestrator import. */
export interface WebSocketLike {
  /** 1: open. */
  readonly readyState: number;
  readonly bufferedAmount: number;
  send(data: Uint8Array, options: { binary: boolean }, sent: (error?: Error) => void): void;
  close(code?: number): void;
  terminate(): void;
  pause(): void;
  resume(): void;
  on(event: "message", listener: (data: Buffer, isBinary: boolean) => void): unknown;
  on(event: "close", listener: (code: number) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
}

const OPEN = 1;
/** Ways to say goodbye (RFC 6455, 7.4.1): everything else is a break. */
const ORDERLY = new Set([1000, 1001, 1005]);
/** What may wait for the carrier before a sender is held back. */
const HIGH_WATER_BYTES = 16 * 1024;
/** Messages that were read ahead before the carrier is held back. */
const READ_AHEAD = 16;

/**
 * Messages over a WebSocket: one binary message each, a MessagePack body without a length. It owns the socket, which must
 * have `maxPayload` at MAX_FRAME_BYTES and no compression, and give Buffers. Make it at once, before the socket is open:
 * the first message may come in the same packet as the opening handshake; send once it is open. `messages` throws
 * `agent.gone` where the socket breaks instead of closing.
 */
export class WebSocketStream implements MessageStream {
  readonly messages: AsyncIterable<WireValue>;
  readonly #socket: WebSocketLike;
  readonly #received: Buffer[] = [];
  readonly #closed: Promise<void>;
  #isClosed = false;
  #failure: CodedError | undefined;
  #wake: () => void = () => undefined;
  #closing: Promise<void> | undefined;

  constructor(socket: WebSocketLike) {
    this.#socket = socket;
    socket.on("message", (data, isBinary) => this.#take(data, isBinary));
    socket.on("error", (error) => {
      const isProtocol = "code" in error && String(error.code).startsWith("WS_ERR_");
      this.#failure ??= isProtocol
        ? badMessage(`no WebSocket message: ${error.message}`)
        : carrierGone(error);
    });
    this.#closed = new Promise((resolve) => {
      socket.on("close", (code) => {
        if (!ORDERLY.has(code)) this.#failure ??= carrierGone(new Error(`closed with ${code}`));
        this.#isClosed = true;
        this.#wake();
        resolve();
      });
    });
    this.messages = this.#read();
  }

  async send(message: WireValue): Promise<void> {
    const body = encodeBody(message);
    const socket = this.#socket;
    if (this.#closing !== undefined || socket.readyState !== OPEN) throw this.#gone();
    const sent = new Promise<void>((resolve, reject) => {
      socket.send(body, { binary: true }, (error) => (error ? reject(carrierGone(error)) : resolve()));
    });
    sent.catch(() => undefined);
    if (socket.bufferedAmount <= HIGH_WATER_BYTES) return;
    await Promise.race([sent, this.#closed.then(() => Promise.reject(this.#gone()))]);
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #take(data: Buffer, isBinary: boolean): void {
    if (this.#closing !== undefined || this.#failure !== undefined) return;
    if (isBinary) this.#received.push(data);
    else this.#failure = badMessage("it sent a text message");
    if (this.#received.length >= READ_AHEAD) this.#socket.pause();
    this.#wake();
  }

  async *#read(): AsyncGenerator<WireValue, void, undefined> {
    for (;;) {
      const body = this.#received.shift();
      if (this.#closing !== undefined) return;
      if (body !== undefined) {
        if (this.#received.length === 0 && !this.#isClosed) this.#socket.resume();
        yield decodeBody(body);
        continue;
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#isClosed) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async #end(): Promise<void> {
    this.#wake();
    this.#received.length = 0;
    if (this.#isClosed) return;
    // The other side's goodbye stands behind what nobody reads any more.
    this.#socket.resume();
    this.#socket.close(1000);
    const limit = deadline(CLOSE_TIMEOUT_MS, "closing the control channel took too long");
    await abortable(this.#closed, limit.signal).catch(() => undefined);
    limit.release();
    if (!this.#isClosed) this.#socket.terminate();
  }

  #gone(): CodedError {
    return this.#failure?.code === "agent.gone" ? this.#failure : carrierGone(undefined);
  }
}

function carrierGone(cause: Error | undefined): CodedError {
  const detail = cause === undefined ? "" : `: ${cause.message}`;
  return new CodedError("agent.gone", `the control channel to the other side is gone${detail}`, { cause });
}

import net from "node:net";
import type { Duplex } from "node:stream";
import { isReset } from "@farside/ssh";
import type { RelayEnd } from "./relay-end.ts";
import { resetStream } from "./reset-socket.ts";

/** How a relay ended. `reset`: one side was cut; `error`: the target's connection failed otherwise; `closed`: by `cut()`. */
export type RelayOutcome =
  | { readonly reason: "end" | "reset" | "closed" }
  | { readonly reason: "error"; readonly error: Error };

/** Errors that mean: the other end of this connection is gone. */
const RESET_CODES: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED", "ENOTCONN"]);

/**
 * Two connections joined, byte for byte, until both directions have ended. An end of one direction is passed on and
 * leaves the other open; a reset of one side resets the other; a side that takes nothing stops the reading of the other.
 */
export class Relay {
  /** Client to target, and back. */
  readonly bytes = { in: 0, out: 0 };
  /** Settles once, when both streams are destroyed and, after a clean end, what they led through has let go; never rejects. */
  readonly closed: Promise<RelayOutcome>;
  readonly #client: RelayEnd;
  readonly #target: RelayEnd;
  #openDirections = 2;
  #outcome: RelayOutcome | undefined;
  #resolve!: (outcome: RelayOutcome) => void;

  /** Takes both ends over and starts. */
  constructor(client: RelayEnd, target: RelayEnd) {
    this.#client = client;
    this.#target = target;
    this.closed = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#watch("client", client.stream);
    this.#watch("target", target.stream);
    this.#copy(client, target.stream, (count) => {
      this.bytes.in += count;
    });
    this.#copy(target, client.stream, (count) => {
      this.bytes.out += count;
    });
  }

  /** Ends both sides now. Idempotent. */
  cut(): void {
    const outcome = { reason: "closed" } as const;
    this.#finish(outcome);
    this.#resolve(outcome);
  }

  #watch(side: "client" | "target", stream: Duplex): void {
    const other = side === "client" ? this.#target.stream : this.#client.stream;
    stream.on("error", (error: NodeJS.ErrnoException) => {
      const isReset = side === "client" || RESET_CODES.has(error.code ?? "");
      this.#broken(stream, other, isReset ? { reason: "reset" } : { reason: "error", error });
    });
    stream.on("close", () => {
      if (!(stream.readableEnded && stream.writableFinished))
        this.#broken(stream, other, { reason: "reset" });
    });
    if (stream.destroyed) this.#finish({ reason: "reset" });
  }

  /** One side takes nothing more. If it had ended its own direction, the other side still gets all of that first. */
  #broken(stream: Duplex, other: Duplex, outcome: RelayOutcome): void {
    const isOwed = stream.readableEnded && other.writableEnded && !other.writableFinished && !other.destroyed;
    if (!isOwed) {
      this.#finish(outcome);
      return;
    }
    other.pause();
    other.once("finish", () => this.#finish(outcome));
  }

  #copy(from: RelayEnd, to: Duplex, count: (bytes: number) => void): void {
    const source = from.stream;
    // `end` comes only after the last byte was written on: reading stops while a write waits.
    source.once("end", () => {
      if (isResetTakenForEnd(source)) this.#broken(source, to, { reason: "reset" });
      else to.end();
    });
    to.once("finish", () => {
      this.#openDirections -= 1;
      if (this.#openDirections === 0) this.#finish({ reason: "end" });
    });
    if (from.reader !== undefined) {
      from.reader.start(source, to, count);
      return;
    }
    source.on("data", (chunk: Buffer) => {
      count(chunk.length);
      if (!to.write(chunk)) source.pause();
    });
    to.on("drain", () => source.resume());
    source.resume();
  }

  #finish(outcome: RelayOutcome): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    for (const { stream, reader } of [this.#client, this.#target]) {
      if (outcome.reason === "end") stream.destroy();
      else resetStream(stream);
      reader?.release();
    }
    // What a host still holds for its target would be lost with the connection to it.
    const letGo = outcome.reason === "end" ? this.#target.letGo : undefined;
    if (letGo === undefined) this.#resolve(outcome);
    else void letGo.then(() => this.#resolve(outcome));
  }
}

/** libuv reports a reset right behind data as an end. Once this side has ended, too, an end looks the same to the kernel. */
function isResetTakenForEnd(stream: Duplex): boolean {
  return stream instanceof net.Socket && !stream.writableEnded && isReset(stream) === true;
}

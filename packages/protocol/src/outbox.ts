import { type CodedError, isCodedError } from "./errors.ts";
import type { WireValue } from "./message-stream.ts";

/** How long a letter that may wait does, for others to share a write with. */
export const PATIENCE_MS = 25;
/** With so many waiting it does not get fuller. */
const FULL_BAG = 128;

/** A message that waits for the carrier. */
export interface Letter {
  readonly message: WireValue;
  /** It may wait for PATIENCE_MS or for the next letter that may not. */
  readonly mayWait?: boolean;
  /** Called when the carrier is about to take it. */
  readonly onTaken?: () => void;
  /** Called where the message can't be put on the wire, which is a bug; the carrier goes on. */
  readonly onUnsendable?: (error: unknown) => void;
}

export interface OutboxOptions {
  readonly send: (message: WireValue) => Promise<void>;
  /** The carrier is gone; called once. */
  readonly onGone: (error: CodedError) => void;
}

/** Hands messages to a carrier one by one, in order. It has no limit of its own: whoever adds keeps count by `onTaken`. */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #waiting: Letter[] = [];
  #pumping: Promise<void> | undefined;
  /** Set before the pump starts: its first steps run at once and may add. */
  #isPumping = false;
  #timer: NodeJS.Timeout | undefined;
  #isGone = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  add(letter: Letter): void {
    if (this.#isGone) return;
    this.#waiting.push(letter);
    if (letter.mayWait !== true || this.#waiting.length >= FULL_BAG) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), PATIENCE_MS);
  }

  /** Takes `letter` back; false where the carrier has it already. */
  remove(letter: Letter): boolean {
    const index = this.#waiting.indexOf(letter);
    if (index >= 0) this.#waiting.splice(index, 1);
    return index >= 0;
  }

  /** Resolves when the carrier has taken everything, or is gone. */
  async flush(): Promise<void> {
    if (this.#waiting.length > 0) this.#start();
    while (this.#pumping !== undefined) await this.#pumping;
  }

  /** Drops what waits and takes nothing more. */
  stop(): void {
    this.#isGone = true;
    this.#waiting.length = 0;
    this.#clearTimer();
  }

  #start(): void {
    this.#clearTimer();
    if (this.#isPumping) return;
    this.#isPumping = true;
    this.#pumping = this.#pump().finally(() => {
      this.#isPumping = false;
      this.#pumping = undefined;
      if (this.#waiting.length > 0) this.#start();
    });
  }

  #clearTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #pump(): Promise<void> {
    for (let letter = this.#waiting.shift(); letter !== undefined; letter = this.#waiting.shift()) {
      letter.onTaken?.();
      try {
        await this.#options.send(letter.message);
      } catch (error) {
        if (!isCodedError(error)) {
          letter.onUnsendable?.(error);
          continue;
        }
        this.stop();
        this.#options.onGone(error);
      }
    }
  }
}

import { CodedError } from "@farside/protocol";
import { enterPin, hasPinPad, type PinReason, type PinSource } from "./pin.ts";
import type { TokenSession } from "./token-session.ts";

export interface PinUse<Result> {
  readonly reason: PinReason;
  /** Gives the PIN to the card; called at most once. */
  use(pin: string): Promise<Result>;
  /** A PIN that the card accepted a moment ago, for the same operation: nobody is asked. */
  readonly given?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PinEntriesOptions {
  readonly source: PinSource;
  /** An empty PIN may go to modules other than OpenSC. */
  readonly allowAnyPinPad: boolean;
  /** The PIN is awaited on the reader. */
  onPinPad(): void;
}

/** The PIN entries of one card: from the PIN pad where there is one, and not a second time from a source that was wrong. */
export class PinEntries {
  readonly #session: TokenSession;
  readonly #options: PinEntriesOptions;
  #accepted = 0;
  #refused: CodedError | undefined;
  /** A PIN was sent, and no answer came. */
  #isUnsure = false;

  constructor(session: TokenSession, options: PinEntriesOptions) {
    this.#session = session;
    this.#options = options;
  }

  /** Entries that the card accepted so far. */
  get accepted(): number {
    return this.#accepted;
  }

  get wasRefused(): boolean {
    return this.#refused !== undefined;
  }

  /** One PIN entry, as `enterPin`. */
  async enter<Result>({ reason, use, given, signal }: PinUse<Result>): Promise<Result> {
    const token = (await this.#session.findAgain()) ?? this.#session.token;
    const usePinPad = this.#usesPinPad();
    const isGiven = given !== undefined && !usePinPad;
    const source = isGiven ? { ...this.#options.source, ask: async () => given } : this.#options.source;
    if (this.#refused !== undefined && !source.isInteractive && !usePinPad)
      throw new CodedError("card.pin-wrong", "the card refused the PIN before; it was not sent again", {
        leg: "card",
        hint: this.#refused.hint,
        cause: this.#refused,
      });
    if (this.#isUnsure && !source.isInteractive && !usePinPad)
      throw new CodedError(
        "card.pin-unavailable",
        "the card went away while it looked at the PIN, which may have cost a try; it was not sent again",
        { leg: "card", hint: "be sure of the PIN, then run it again" },
      );
    if (usePinPad) this.#options.onPinPad();
    let isSent = false;
    const send = (pin: string): Promise<Result> => {
      isSent = true;
      return use(pin);
    };
    try {
      const triesLeft = () => this.#session.triesLeft();
      const result = await enterPin({ token, reason, source, usePinPad, use: send, triesLeft, signal });
      this.#refused = undefined;
      this.#isUnsure = false;
      if (!isGiven) this.#accepted += 1;
      return result;
    } catch (error) {
      if (error instanceof CodedError && error.code === "card.pin-wrong") this.#refused = error;
      // A PIN that this card took before is known to be right.
      else if (isSent && this.#accepted === 0) this.#isUnsure = true;
      throw error;
    }
  }

  #usesPinPad(): boolean {
    if (!hasPinPad(this.#session.token)) return false;
    if (this.#session.isOpensc || this.#options.allowAnyPinPad) return true;
    throw new CodedError(
      "card.pin-unavailable",
      "the reader has a PIN pad, which this module may not support",
      {
        leg: "card",
        hint: "try --pin-pad (an empty PIN is sent, which costs a try where the module takes it for a PIN)",
      },
    );
  }
}

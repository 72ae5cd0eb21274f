import { FIRST_WINDOW, LEAST_WINDOW, TOTAL_WINDOW } from "./limits.ts";

/**
 * What servers may make us hold: the receive windows of all channels together. Half is for first windows, which get
 * smaller as it fills; the other half is for channels that earn larger ones.
 */
export class WindowBudget {
  readonly #total: number;
  #given = 0;

  constructor(total: number = TOTAL_WINDOW) {
    this.#total = total;
  }

  /** Bytes that servers may send now or that were not passed on yet. */
  get given(): number {
    return this.#given;
  }

  /** The first window of a new channel. Never less than `LEAST_WINDOW`: a channel without a window is useless. */
  takeFirst(): number {
    const share = Math.floor((this.#total / 2 - this.#given) / 16);
    const window = Math.max(LEAST_WINDOW, Math.min(FIRST_WINDOW, share));
    this.#given += window;
    return window;
  }

  /** Up to `wanted` more, perhaps nothing. */
  takeMore(wanted: number): number {
    const granted = Math.max(0, Math.min(wanted, Math.floor((this.#total - this.#given) / 2)));
    this.#given += granted;
    return granted;
  }

  giveBack(bytes: number): void {
    this.#given -= bytes;
  }
}

/** The one of the process. */
export const processWindows: WindowBudget = new WindowBudget();

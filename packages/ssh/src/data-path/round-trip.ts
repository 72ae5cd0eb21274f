/**
 * How long the way to a connection's server and back is at most: the shortest time in which it answered anything. What
 * the server or we were slow at only makes it longer, so the shortest counts.
 */
export class RoundTrip {
  #shortestMs = Number.POSITIVE_INFINITY;

  /** Infinity until something was answered. */
  get ms(): number {
    return this.#shortestMs;
  }

  answeredIn(ms: number): void {
    if (ms < this.#shortestMs) this.#shortestMs = ms;
  }
}

import { type DataOf, type Peer, relayClosed, relayOpened } from "@farside/protocol";

/** How long a relay's opening waits to be told: one that is over by then is told with its end alone. */
export const OPENING_WAITS_MS = 25;

type Opened = DataOf<typeof relayOpened>;
type Closed = Omit<DataOf<typeof relayClosed>, "isWhole">;

/**
 * Tells of relays: of the openings of some milliseconds together, and of a relay that has opened and ended meanwhile in
 * one event instead of two. Each event costs both ends as much as a piece of payload, and each write does again.
 */
export class RelayNews {
  readonly #emit: Peer["emit"];
  /** By relay, in the order in which they opened, and since when they wait. */
  readonly #untold = new Map<number, { readonly opening: Opened; readonly since: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(emit: Peer["emit"]) {
    this.#emit = emit;
  }

  opened(relay: Opened): void {
    this.#untold.set(relay.relayId, { opening: relay, since: performance.now() });
    this.#timer ??= this.#tellIn(OPENING_WAITS_MS);
  }

  closed(relay: Closed): void {
    const isWhole = this.#untold.delete(relay.relayId);
    this.#emit(relayClosed, isWhole ? { ...relay, isWhole } : relay, { mayWait: true });
  }

  #tellIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#tellOpenings(), ms);
  }

  /** Those that have waited long enough; most of the others are over soon. */
  #tellOpenings(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [relayId, { opening, since }] of this.#untold) {
      const left = since + OPENING_WAITS_MS - now;
      // Timers go by whole milliseconds.
      if (left >= 1) {
        this.#timer = this.#tellIn(left);
        return;
      }
      this.#untold.delete(relayId);
      this.#emit(relayOpened, opening);
    }
  }
}

import { type DataOf, type Peer, relayClosed, relayOpened } from "@farside/protocol";

/** How long a relay's opening waits to be told: one that is over by then is told with its end alone. */
const OPENING_WAITS_MS = 10;

type Opened = DataOf<typeof relayOpened>;
type Closed = Omit<DataOf<typeof relayClosed>, "isWhole">;

/**
 * Tells of relays: of the openings of some milliseconds together, and of a relay that has opened and ended meanwhile in
 * one event instead of two. Each event costs both ends as much as a piece of payload, and each write does again.
 */
export class RelayNews {
  readonly #emit: Peer["emit"];
  /** By relay, in the order in which they opened. */
  readonly #untold = new Map<number, Opened>();
  #timer: NodeJS.Timeout | undefined;

  constructor(emit: Peer["emit"]) {
    this.#emit = emit;
  }

  opened(relay: Opened): void {
    this.#untold.set(relay.relayId, relay);
    this.#timer ??= setTimeout(() => this.#tellOpenings(), OPENING_WAITS_MS);
  }

  closed(relay: Closed): void {
    const isWhole = this.#untold.delete(relay.relayId);
    this.#emit(relayClosed, isWhole ? { ...relay, isWhole } : relay, { mayWait: true });
  }

  #tellOpenings(): void {
    this.#timer = undefined;
    const openings = [...this.#untold.values()];
    this.#untold.clear();
    for (const opening of openings) this.#emit(relayOpened, opening);
  }
}

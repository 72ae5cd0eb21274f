import {
  type ForwardEvent,
  type ForwardHealth,
  type ForwardState,
  forwardChanged,
  forwardStateOf,
  initialHealth,
  nextHealth,
  type Peer,
} from "@farside/protocol";

/** What lasts shorter is not told: a signature that takes a moment, a target that was restarted. */
const SETTLE_MS = 200;

/** Keeps what a forward's state follows from, and tells the orchestrator of it when it has changed and lasts. */
export class ForwardHealthTeller {
  readonly #forwardId: string;
  readonly #emit: Peer["emit"];
  #health = initialHealth;
  /** Who opens a forward learns by the answer that it is open. */
  #told: ForwardState = { phase: "open" };
  #toldRetryAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(forwardId: string, emit: Peer["emit"]) {
    this.#forwardId = forwardId;
    this.#emit = emit;
  }

  get stage(): ForwardHealth["stage"] {
    return this.#health.stage;
  }

  get isHopUp(): boolean {
    return this.#health.hop.isUp;
  }

  /** As it is now. */
  get state(): ForwardState {
    return forwardStateOf(this.#health, performance.now());
  }

  apply(event: ForwardEvent): void {
    const before = this.#health;
    this.#health = nextHealth(before, event);
    if (this.#health === before) return;
    if (this.#health.stage === "closed") this.#end();
    else this.#timer ??= setTimeout(() => this.#tell(), SETTLE_MS).unref();
  }

  get #retryAt(): number | undefined {
    const { hop } = this.#health;
    return hop.isUp ? undefined : hop.retryAt;
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#told.phase === "draining") this.#tell();
  }

  #tell(): void {
    this.#timer = undefined;
    const { state } = this;
    const retryAt = this.#retryAt;
    if (state.phase === "opening" || (isAlike(state, this.#told) && retryAt === this.#toldRetryAt)) return;
    this.#told = state;
    this.#toldRetryAt = retryAt;
    this.#emit(forwardChanged, { forwardId: this.#forwardId, state }, { keep: true });
  }
}

/** The last error stays when all is well again: then it is nothing new. */
function isAlike(one: ForwardState, other: ForwardState): boolean {
  if (one.phase !== other.phase) return false;
  if (one.phase === "open") return true;
  const { waitsFor, lastError } = one;
  const isSameError =
    lastError?.code === other.lastError?.code && lastError?.message === other.lastError?.message;
  return waitsFor === other.waitsFor && isSameError;
}

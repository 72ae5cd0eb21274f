import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Relays after which a look is worth it: fewer leave nothing behind that matters. */
const MANY_RELAYS = 256;
/**
 * Another burst may be about to come, and would pay for it: V8 also drops what it has learned and compiled for objects that
 * are not there just now. Measured: up to twice the CPU a connection in bursts some seconds apart, with 2 s here.
 */
const QUIET_MS = 30_000;
const ROUNDS = 3;

/**
 * Collects V8's garbage once a burst of relays is over. V8 does so when it is next asked for memory, and a process without relays asks for
 * none: it would keep tens of megabytes for as long as it is idle. It takes some 10 ms in which nothing else is done.
 */
export class CollectWhenIdle implements Disposable {
  readonly #collect: () => void;
  readonly #quietMs: number;
  #open = 0;
  #opened = 0;
  #idleSince = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `collect`: default V8's full collection. */
  constructor({ collect = fullCollection(), quietMs = QUIET_MS } = {}) {
    this.#collect = collect;
    this.#quietMs = quietMs;
  }

  /** `open` relays are open now. Called for each of thousands a second, so that its timer is not set anew for each. */
  relaysChanged(open: number): void {
    if (open > this.#open) this.#opened += open - this.#open;
    this.#open = open;
    if (open > 0 || this.#opened < MANY_RELAYS) return;
    this.#idleSince = performance.now();
    this.#timer ??= this.#lookAfter(this.#quietMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #lookAfter(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#timer = undefined;
      if (this.#open > 0) return;
      const left = this.#idleSince + this.#quietMs - performance.now();
      if (left > 0) {
        this.#timer = this.#lookAfter(left);
        return;
      }
      this.#opened = 0;
      this.#collect();
    }, ms).unref();
  }
}

/** V8 has it for programs that are started with `--expose-gc`; contexts that are made after that flag is set have it, too. */
function fullCollection(): () => void {
  let collect: (() => void) | undefined;
  return () => {
    if (collect === undefined) {
      setFlagsFromString("--expose-gc");
      collect = runInNewContext("gc") as () => void;
      setFlagsFromString("--no-expose-gc");
    }
    // One frees the objects; V8 gives whole pages back only when further ones find them still empty.
    for (let round = 0; round < ROUNDS; round += 1) collect();
  };
}

import { CodedError, type Leg } from "@farside/protocol";
import type { Identity, SignRequest } from "@farside/ssh";

/**
 * A deadline for machines: it stands still while a person or a card is waited for (a PIN, a touch, a question), which
 * have deadlines of their own. Released when the wait that it bounds is over.
 */
export class StartDeadline implements Disposable {
  readonly #controller = new AbortController();
  readonly #message: string;
  #stage: string | undefined;
  #leg: Leg = "jump";
  #leftMs: number;
  #runningSince: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pauses = 0;
  #isReleased = false;

  /** Aborts its signal with `timeout` and `message` when `ms` of running time are over. */
  constructor(ms: number, message: string) {
    this.#leftMs = ms;
    this.#message = message;
    this.#run();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What its error adds: how far the start has come. */
  reached(stage: string | undefined): void {
    this.#stage = stage;
  }

  /** Which part of the way its error names from now on; the jump host at first. */
  about(leg: Leg): void {
    this.#leg = leg;
  }

  /** Stands still until what `wait` returns has settled. */
  async during<T>(wait: () => Promise<T>): Promise<T> {
    this.#pauses += 1;
    this.#halt();
    try {
      return await wait();
    } finally {
      this.#pauses -= 1;
      this.#run();
    }
  }

  /** Stops the clock for good. Idempotent. */
  [Symbol.dispose](): void {
    this.#isReleased = true;
    this.#halt();
  }

  #run(): void {
    if (this.#isReleased || this.#pauses > 0 || this.#runningSince !== undefined) return;
    this.#runningSince = performance.now();
    this.#timer = setTimeout(() => this.#expire(), this.#leftMs);
  }

  #halt(): void {
    if (this.#runningSince === undefined) return;
    clearTimeout(this.#timer);
    this.#leftMs = Math.max(0, this.#leftMs - (performance.now() - this.#runningSince));
    this.#runningSince = undefined;
  }

  #expire(): void {
    const hint = "A slow host may need a longer --start-timeout.";
    const message = this.#stage === undefined ? this.#message : `${this.#message}: ${this.#stage}`;
    this.#controller.abort(new CodedError("timeout", message, { hint, leg: this.#leg }));
  }
}

/** `identity`, during whose work `deadline` stands still; each signature is asked for with `wish`. Borrows it: closing the result does nothing. */
export function patientIdentity(
  identity: Identity,
  deadline: StartDeadline,
  wish: Pick<SignRequest, "failsWithoutCard"> = {},
): Identity {
  const close = async () => {};
  return {
    kind: identity.kind,
    publicKeys: (options) => deadline.during(() => identity.publicKeys(options)),
    ready: (options) => deadline.during(() => identity.ready(options)),
    sign: (request) => deadline.during(() => identity.sign({ ...request, ...wish })),
    close,
    [Symbol.asyncDispose]: close,
  };
}

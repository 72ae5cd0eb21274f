import { type CodedError, Gate } from "@farside/protocol";
import { attemptOutcome, charged, unspentBudget, waitMs } from "@farside/ssh";

/** Should both be refused (5 s each), its sshd has charged less than its threshold of 15 s, with what `waitMs` lets stand. */
const LOGINS_AT_A_TIME = 2;

/**
 * What the sshd of one hop is taken to have charged this host for (PerSourcePenalties), over all logins to it, whoever they were for. Below its
 * threshold it says nothing; above it turns away everybody who comes from here.
 */
export class HostPenalties {
  readonly #now: () => number;
  readonly #gate = new Gate(LOGINS_AT_A_TIME);
  #budget = unspentBudget;
  #lastError: CodedError | undefined;

  /** `now`: a monotonic clock in ms. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** How long to wait before the next login, in ms; 0: now. */
  get waitMs(): number {
    return waitMs(this.#budget, this.#now());
  }

  /** Waits for its turn to log in there, and resolves with what ends it; rejects with the signal's reason. */
  enter(signal: AbortSignal): Promise<() => void> {
    return this.#gate.enter({ signal });
  }

  /** Of the last login that was charged. */
  get lastError(): CodedError | undefined {
    return this.#lastError;
  }

  /** Takes a login that failed. */
  charge(error: CodedError): void {
    const before = this.#budget.endsAt;
    this.#budget = charged(this.#budget, attemptOutcome(error), this.#now());
    if (this.#budget.endsAt > before) this.#lastError = error;
  }
}

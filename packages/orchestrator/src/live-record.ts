import { type AgentDescription, deadline, type SessionEvent } from "@farside/protocol";
import { liveFactsOf } from "./live-facts.ts";
import type { SessionFolder } from "./session-folder.ts";

/** After something happened, and while relays are open, the agent is asked this often. */
const INTERVAL_MS = 2_000;
/** What happens within this time is asked about once. */
const GATHER_MS = 250;

export interface LiveRecordOptions {
  readonly describe: (signal: AbortSignal) => Promise<AgentDescription>;
  readonly folder: Pick<SessionFolder, "update">;
  /** Forwards that are open. */
  readonly forwardIds: () => ReadonlySet<string>;
}

/** Keeps what `farside status` shows of a session up to date: asks the agent after events, and while relays are open. */
export class LiveRecord implements Disposable {
  readonly #options: LiveRecordOptions;
  readonly #ending = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #isAsking = false;
  #isDue = false;

  constructor(options: LiveRecordOptions) {
    this.#options = options;
  }

  /** Takes an event of the session. */
  hear({ event }: SessionEvent): void {
    if (
      event === "ready" ||
      event === "forward.state" ||
      event === "reattached" ||
      event.startsWith("relay.")
    )
      this.#askIn(GATHER_MS);
  }

  /** Idempotent. */
  [Symbol.dispose](): void {
    this.#ending.abort();
    clearTimeout(this.#timer);
  }

  #askIn(ms: number): void {
    if (this.#ending.signal.aborted) return;
    if (this.#isAsking) this.#isDue = true;
    else this.#timer ??= setTimeout(() => void this.#ask(), ms).unref();
  }

  async #ask(): Promise<void> {
    const { describe, folder, forwardIds } = this.#options;
    this.#timer = undefined;
    this.#isAsking = true;
    const limit = deadline(INTERVAL_MS, "the agent was slow", { signal: this.#ending.signal });
    let hasRelays = false;
    try {
      const live = liveFactsOf(await describe(limit.signal), forwardIds(), new Date());
      hasRelays = live.relays.length > 0;
      folder.update({ live });
    } catch {
      // An agent that is slow or gone is told of elsewhere.
    } finally {
      limit.release();
      this.#isAsking = false;
      if (this.#isDue || hasRelays) this.#askIn(this.#isDue ? GATHER_MS * 4 : INTERVAL_MS);
      this.#isDue = false;
    }
  }
}

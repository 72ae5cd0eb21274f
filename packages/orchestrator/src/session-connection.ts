import { abortable, CodedError, deadline } from "@farside/protocol";
import { fingerprint, type Hop, type JumpChain, unspentBudget } from "@farside/ssh";
import type { Engine } from "./engine/engine.ts";
import type { SessionEventDraft } from "./event-log.ts";
import { reattach } from "./reattach/reattach.ts";
import type { SessionPlan } from "./session-plan.ts";

/** How long a last login to a host that was lost may take. */
const RECOVERY_TIMEOUT_MS = 10_000;

type Attach = NonNullable<Engine["reattach"]>;

export interface SessionConnectionOptions {
  readonly plan: Pick<SessionPlan, "connect" | "identityReady" | "leaseMs" | "host">;
  readonly emit: (event: SessionEventDraft) => void;
  /** Hears that it was lost, unless it was given up here. */
  readonly onLost: (failure: CodedError) => void;
}

/** A session's connection to its jump host: one at a time, another where the last is lost and something goes on there. */
export class SessionConnection {
  readonly #options: SessionConnectionOptions;
  /** What sshd there charges us, over all attempts. */
  readonly #penalties = { budget: unspentBudget };
  #chain: JumpChain | undefined;
  #isLost = false;

  constructor(options: SessionConnectionOptions) {
    this.#options = options;
  }

  /** The jump host; undefined before the first login. */
  get hop(): Hop | undefined {
    return this.#chain?.last;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** Logs in. Rejects with what the login rejects with, or the signal's reason. */
  async open(signal: AbortSignal): Promise<Hop> {
    // People and cards may not notice that nobody waits for them any more.
    const connecting = this.#options.plan.connect({ signal, onConnected: this.#tellHop });
    const chain = await abortable(connecting, signal, (late) => void late.close());
    this.#adopt(chain);
    return chain.last;
  }

  /** Logs in again, as often as it takes, and attaches; rejects as `reattach` of reattach.ts does. */
  reattach(attach: Attach, signal: AbortSignal): Promise<void> {
    const { connect, identityReady, host, leaseMs } = this.#options.plan;
    return reattach({
      ...{ host, leaseMs, attach, identityReady, penalties: this.#penalties, signal },
      connect: (options) => connect({ ...options, onConnected: this.#tellHop }),
      onConnected: (chain) => this.#adopt(chain),
    });
  }

  /** One more login for the end, where something may go on there without us. Never rejects: the receipt says what could not be looked at. */
  async recover(attach: Attach, signal: AbortSignal): Promise<void> {
    const limit = deadline(RECOVERY_TIMEOUT_MS, "connecting again took too long", { signal });
    try {
      await attach(await this.open(limit.signal), limit.signal);
    } catch {
      // The session's own failure says why.
    } finally {
      limit.release();
    }
  }

  /** Drops it at once, for `reason`; nobody is told. */
  giveUp(reason: CodedError): void {
    this.#isLost = true;
    this.#chain?.last.abort(reason);
  }

  /** Says goodbye. Never rejects. Idempotent. */
  async close(): Promise<void> {
    await this.#chain?.close().catch(() => {});
  }

  #adopt(chain: JumpChain): void {
    const previous = this.#chain;
    this.#chain = chain;
    this.#isLost = false;
    // Behind a dead link nobody says goodbye: in its own time.
    void previous?.close().catch(() => {});
    void chain.last.closed.then((error) => {
      if (this.#chain !== chain || this.#isLost) return;
      this.#isLost = true;
      const message = `the connection to ${this.#options.plan.host} was closed`;
      this.#options.onLost(error ?? new CodedError("hop.lost", message, { leg: "jump" }));
    });
  }

  readonly #tellHop: Parameters<SessionPlan["connect"]>[0]["onConnected"] = ({ user, host, port }, hop) => {
    const hostKey = fingerprint(hop.serverHostKey);
    this.#options.emit({ event: "hop.connected", leg: "jump", user, host, port, hostKey });
  };
}

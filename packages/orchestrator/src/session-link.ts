import { CodedError, toCodedError } from "@farside/protocol";
import type { Engine } from "./engine/engine.ts";
import type { SessionEventDraft } from "./event-log.ts";
import type { SessionConnection } from "./session-connection.ts";
import type { SessionPlan } from "./session-plan.ts";
import type { SessionProgress } from "./session-progress.ts";
import { isRunning } from "./session-state.ts";

type Attach = NonNullable<Engine["reattach"]>;

export interface SessionLinkOptions {
  readonly plan: Pick<SessionPlan, "name" | "host">;
  readonly progress: SessionProgress;
  readonly connection: SessionConnection;
  readonly emit: (event: SessionEventDraft) => void;
  /** The engine's way to be found again; undefined: it does not outlive its connection, or there is none yet. */
  readonly reattach: () => Attach | undefined;
}

/** What a session does when the way to its agent is lost: it ends with it, or looks for it again. */
export class SessionLink {
  readonly #options: SessionLinkOptions;

  constructor(options: SessionLinkOptions) {
    this.#options = options;
  }

  /** The way to the agent is lost, and with it what needs it, unless it can be found again. */
  lost(failure: CodedError): void {
    const { progress, connection, emit } = this.#options;
    const reattach = this.#options.reattach();
    if (progress.state.phase === "reattaching") return;
    // It is ending, and the receipt says what of it could not be done.
    if (reattach !== undefined && !isRunning(progress.state)) return;
    if (progress.state.phase !== "ready" || reattach === undefined) {
      progress.dispatch({ type: "failed", failure });
      return;
    }
    connection.giveUp(failure);
    progress.dispatch({ type: "link-lost" });
    emit({ event: "warning", message: `${failure.message}; connecting again`, leg: "jump" });
    void this.#reattach(reattach);
  }

  /** At the end: where the agent may go on without us, and the host has not turned us away, it is told to end. Never rejects. */
  async recover(signal: AbortSignal): Promise<void> {
    const { progress, connection } = this.#options;
    const attach = this.#options.reattach();
    if (!connection.isLost || attach === undefined) return;
    const failure = "failure" in progress.state ? progress.state.failure : undefined;
    if (failure !== undefined && /^(?:hop\.auth|host-key|card|identity)/.test(failure.code)) return;
    await connection.recover(attach, signal);
  }

  async #reattach(attach: Attach): Promise<void> {
    const { plan, progress, connection, emit } = this.#options;
    try {
      await connection.reattach(attach, progress.leaving);
    } catch (error) {
      // A session that is ending makes a last attempt of its own.
      if (isRunning(progress.state)) progress.dispatch({ type: "failed", failure: toCodedError(error) });
      return;
    }
    progress.dispatch({ type: "reattached" });
    emit({ event: "reattached", session: plan.name });
    // It was lost again before anybody could hear of it.
    const again = `the connection to ${plan.host} was lost again`;
    if (connection.isLost) this.lost(new CodedError("hop.lost", again, { leg: "jump" }));
  }
}

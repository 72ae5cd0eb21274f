import type { Identity } from "@farside/ssh";
import type { JumpLogin } from "./jump-login.ts";
import type { SessionPlan } from "./session-plan.ts";
import type { SessionTurn, TurnStage } from "./session-turn.ts";
import { patientIdentity, type StartDeadline } from "./start-deadline.ts";

export interface ConnectInTurnOptions {
  readonly login: Pick<JumpLogin, "connect">;
  readonly turn: SessionTurn;
  /** Borrowed. */
  readonly identity: Identity;
  /** The same for the first login, during whose work `deadline` stands still. */
  readonly patient: Identity;
  readonly deadline: StartDeadline;
}

/** Logs in to the jump host in the session's turn. The first login has taken it already, and leaves it to the rest of the start. */
export function connectInTurn(options: ConnectInTurnOptions): SessionPlan["connect"] {
  const { login, turn, identity, patient, deadline } = options;
  let isFirst = true;
  return async ({ deadline: further, ...connectOptions }) => {
    const isStart = isFirst;
    isFirst = false;
    // Whoever waits for others is not late.
    const take = (stage: TurnStage, signal: AbortSignal, isUrgent: boolean) =>
      (further ?? deadline).during(() => turn.take(stage, { signal, isUrgent }));
    await take("dialling", connectOptions.signal, isStart);
    try {
      const impatient = further && patientIdentity(identity, further, { failsWithoutCard: true });
      return await login.connect(impatient ?? patient, {
        ...connectOptions,
        onDialled: (signal) => take("logging in", signal, true),
      });
    } finally {
      if (!isStart) turn.end();
    }
  };
}

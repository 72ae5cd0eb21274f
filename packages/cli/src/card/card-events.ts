import type { SessionEventDraft } from "@farside/orchestrator";
import type { CardEvents } from "@farside/smartcard";

const waitingFor = {
  sign: "signing takes a while: does it want a touch?",
  login: "logging in takes a while",
  "pin-pad": "type the PIN on the reader",
} as const;

/** What the card says, as a session's events. */
export function cardEvents(emit: (event: SessionEventDraft) => void): CardEvents {
  const warn = (message: string, hint?: string) =>
    emit({ event: "warning", message, leg: "card", ...(hint === undefined ? {} : { hint }) });
  return {
    onLogin: (login) => emit({ event: "card.login", ...login }),
    onWaiting: ({ operation, token }) => warn(`card "${token}": ${waitingFor[operation]}`),
    onWarning: ({ message, hint }) => warn(message, hint),
    onRemoved: ({ token }) => warn(`card "${token}" was taken out; what is open goes on`),
    onPresence: (presence) => {
      const { token, phase: state } = presence;
      emit({ event: "card.state", token, state, ...(state === "waiting" && { waiting: presence.waiting }) });
    },
    onInserted: ({ token }) => warn(`card "${token}" is back; it will want its PIN when it is needed`),
  };
}

import type { SessionEventDraft } from "./event-log.ts";

const waitingFor = {
  sign: "signing takes a while: does it want a touch?",
  login: "logging in takes a while",
  "pin-pad": "type the PIN on the reader",
} as const;

interface OfToken {
  readonly token: string;
}

/** Where a card is, as far as events tell it. */
type Presence =
  | { readonly phase: "present" | "removed" | "pin-needed" }
  | { readonly phase: "waiting"; readonly waiting: number };

/** What a card says (`CardEvents` of @farside/smartcard), as events of a session or of a SharedIdentity. */
export function cardEvents(emit: (event: SessionEventDraft) => void) {
  const warn = (token: string, what: string) =>
    emit({ event: "warning", message: `card "${token}"${what}`, leg: "card" });
  return {
    onLogin: (login: OfToken & { key: string; pinEntries: number }) =>
      emit({ event: "card.login", ...login }),
    onWaiting: ({ operation, token }: OfToken & { operation: keyof typeof waitingFor }) =>
      warn(token, `: ${waitingFor[operation]}`),
    onQueue: ({ waiting, token }: OfToken & { waiting: number }) =>
      warn(token, waiting === 1 ? ": 1 signature waits for it" : `: ${waiting} signatures wait for it`),
    onWarning: ({ message, hint }: { message: string; hint?: string }) =>
      emit({ event: "warning", message, leg: "card", ...(hint === undefined ? {} : { hint }) }),
    onRemoved: ({ token }: OfToken) => warn(token, " was taken out; what is open goes on"),
    onPresence: (presence: OfToken & Presence) => {
      const { token, phase: state } = presence;
      emit({ event: "card.state", token, state, ...(state === "waiting" && { waiting: presence.waiting }) });
    },
    onInserted: ({ token }: OfToken) => warn(token, " is back; it will want its PIN when it is needed"),
  };
}

import type { CardEvents } from "@farside/smartcard";
import type { Reporter } from "../output/reporter.ts";

const waitingFor = {
  sign: "signing with the card takes a while: does it want a touch?",
  login: "logging in to the card takes a while",
  "pin-pad": "type the PIN on the reader",
} as const;

/** What the card says, as events and steps of `reporter`. */
export function cardEvents(reporter: Pick<Reporter, "event" | "log">): CardEvents {
  const warn = (message: string, hint?: string) =>
    reporter.event({
      event: "warning",
      at: new Date().toISOString(),
      message,
      leg: "card",
      ...(hint === undefined ? {} : { hint }),
    });
  return {
    onLogin: (login) => reporter.event({ event: "card.login", at: new Date().toISOString(), ...login }),
    onWaiting: ({ operation, token }) => warn(`card "${token}": ${waitingFor[operation]}`),
    onWarning: ({ message, hint }) => warn(message, hint),
    onRemoved: ({ token }) => warn(`card "${token}" was taken out; what is open goes on`),
    onInserted: ({ token }) => reporter.log("info", `card "${token}" was put in again`),
  };
}

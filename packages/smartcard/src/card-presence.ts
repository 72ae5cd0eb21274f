/** Where the card is, and what its next signature takes. */
export type CardPresence =
  /** In the reader, and ready to sign. */
  | { readonly phase: "present" }
  /** Out, and nobody needs it. */
  | { readonly phase: "removed" }
  /** Out, while `waiting` signatures wait for it. */
  | { readonly phase: "waiting"; readonly waiting: number }
  /** In the reader; the next signature asks for the PIN. */
  | { readonly phase: "pin-needed" };

export type CardPresenceEvent =
  | { readonly type: "removed" }
  /** `needsPin`: its keys sign only after a login. */
  | { readonly type: "inserted"; readonly needsPin: boolean }
  /** So many signatures wait for a card that is out. */
  | { readonly type: "waits"; readonly waiting: number }
  /** The card took the PIN. */
  | { readonly type: "login" }
  /** The card forgot the login (a reset, another program), or the process that held it ended. */
  | { readonly type: "login-lost" };

/** Pure and total: what cannot happen in a state leaves it as it is. */
export function nextPresence(state: CardPresence, event: CardPresenceEvent): CardPresence {
  const isOut = state.phase === "removed" || state.phase === "waiting";
  switch (event.type) {
    case "removed":
      return isOut ? state : { phase: "removed" };
    case "inserted":
      if (!isOut) return state;
      return { phase: event.needsPin ? "pin-needed" : "present" };
    case "waits":
      if (!isOut) return state;
      return event.waiting > 0 ? { phase: "waiting", waiting: event.waiting } : { phase: "removed" };
    case "login":
      return { phase: "present" };
    case "login-lost":
      return state.phase === "present" ? { phase: "pin-needed" } : state;
    default:
      return assertNever(event);
  }
}

function assertNever(event: never): never {
  throw new Error(`no such event: ${JSON.stringify(event)}`);
}

import type { BindAddress } from "@farside/protocol";

/**
 * `opening`: hops connect, then the listener opens. `open`: connections are accepted. `draining`: the listener is closed,
 * relays have their grace. `closed`: nothing is left.
 */
export type ForwardState =
  | { readonly phase: "opening" }
  | { readonly phase: "open"; readonly bound: readonly BindAddress[] }
  | { readonly phase: "draining" }
  | { readonly phase: "closed" };

export type ForwardEvent =
  | { readonly event: "listening"; readonly bound: readonly BindAddress[] }
  | { readonly event: "open-failed" }
  | { readonly event: "close" }
  | { readonly event: "drained" };

/** The state after `event`; an event that a state has no use for changes nothing. */
export function next(state: ForwardState, event: ForwardEvent): ForwardState {
  switch (event.event) {
    case "listening":
      return state.phase === "opening" ? { phase: "open", bound: event.bound } : state;
    case "open-failed":
      return state.phase === "opening" ? { phase: "closed" } : state;
    case "close":
      return state.phase === "opening" || state.phase === "open" ? { phase: "draining" } : state;
    case "drained":
      return state.phase === "draining" ? { phase: "closed" } : state;
    default:
      return assertNever(event);
  }
}

function assertNever(event: never): never {
  throw new Error(`no such event: ${JSON.stringify(event)}`);
}

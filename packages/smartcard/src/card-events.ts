import type { CardPresence } from "./card-presence.ts";

/** What a card tells whoever uses it. Called synchronously; they must not throw. */
export interface CardEvents {
  /** A PIN entry was accepted; `pinEntries` counts them. */
  readonly onLogin?: (login: { token: string; key: string; pinEntries: number }) => void;
  /** The card has taken more than a second (a touch?), or waits at the reader's PIN pad. */
  readonly onWaiting?: (wait: { operation: "sign" | "login" | "pin-pad"; token: string }) => void;
  /** So many signatures wait for their turn, one of them for more than a second; told again every five seconds. */
  readonly onQueue?: (queue: { waiting: number; token: string }) => void;
  readonly onWarning?: (warning: { message: string; hint?: string }) => void;
  readonly onRemoved?: (card: { token: string }) => void;
  readonly onInserted?: (card: { token: string }) => void;
  /** Every change of where the card is. */
  readonly onPresence?: (presence: CardPresence & { token: string }) => void;
}

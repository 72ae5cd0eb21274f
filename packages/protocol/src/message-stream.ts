/** Plain values that may stand in a message: what the frame scan lets through. */
export type WireValue =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly WireValue[]
  | { readonly [key: string]: WireValue | undefined };

/**
 * A carrier of whole messages in order, both ways: framed over a byte stream, or one WebSocket message each. The owner
 * closes it; closing ends both directions.
 */
export interface MessageStream extends AsyncDisposable {
  /** Hands `message` to the carrier. Resolves when the carrier can take another (backpressure), rejects with `agent.gone` once it is closed. */
  send(message: WireValue): Promise<void>;
  /** Messages as they come; ends at the carrier's end, throws `protocol.bad-message`. May be iterated once. */
  readonly messages: AsyncIterable<WireValue>;
  /** Ends both directions and resolves when it is done. Idempotent. */
  close(): Promise<void>;
}

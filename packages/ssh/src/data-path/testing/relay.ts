import type { ChannelTarget } from "../channel-opening.ts";
import type { DataPath } from "../data-path.ts";
import type { FastRelay, RelayEnd } from "../relay-end.ts";
import { type Listener, listen } from "./tcp.ts";

/** A listener whose connections are relayed to `target`, as the agent does it. */
export interface Relay extends Listener {
  readonly ends: RelayEnd[];
  readonly failures: unknown[];
  /** Of all relays together: client to target, and back. */
  bytes(): { in: number; out: number };
}

export async function relayTo(
  path: DataPath,
  target: ChannelTarget,
  options: { path?: string } = {},
): Promise<Relay> {
  const ends: RelayEnd[] = [];
  const failures: unknown[] = [];
  const relays: FastRelay[] = [];
  const listener = await listen(
    (socket) => {
      path.open(target).then(
        (channel) => {
          const relay = channel.join(socket);
          relays.push(relay);
          return relay.closed.then((end) => ends.push(end));
        },
        (error: unknown) => {
          failures.push(error);
          socket.resetAndDestroy();
        },
      );
    },
    { ...options, pauseOnConnect: true },
  );
  const bytes = () =>
    relays.reduce((sum, relay) => ({ in: sum.in + relay.bytes.in, out: sum.out + relay.bytes.out }), {
      in: 0,
      out: 0,
    });
  return { ...listener, ends, failures, bytes };
}

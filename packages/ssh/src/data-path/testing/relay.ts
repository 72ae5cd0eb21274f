import type { ChannelTarget } from "../channel-opening.ts";
import type { DataPath } from "../data-path.ts";
import type { RelayCounters, RelayEnd } from "../relay-end.ts";
import { type Listener, listen } from "./tcp.ts";

/** A listener whose connections are relayed to `target`, as the agent does it. */
export interface Relay extends Listener {
  readonly ends: RelayEnd[];
  readonly failures: unknown[];
  readonly counters: RelayCounters;
}

export async function relayTo(path: DataPath, target: ChannelTarget): Promise<Relay> {
  const ends: RelayEnd[] = [];
  const failures: unknown[] = [];
  const counters = { bytesIn: 0, bytesOut: 0 };
  const listener = await listen(
    (socket) => {
      path.open(target).then(
        (channel) => channel.join(socket, counters).then((end) => ends.push(end)),
        (error: unknown) => {
          failures.push(error);
          socket.resetAndDestroy();
        },
      );
    },
    { pauseOnConnect: true },
  );
  return { ...listener, ends, failures, counters };
}

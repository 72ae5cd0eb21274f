import { once } from "node:events";
import net from "node:net";
import type { Duplex } from "node:stream";
import { startConnecting } from "../forwarding/connect-socket.ts";
import { Relay, type RelayOutcome } from "../forwarding/relay.ts";
import { type RelayEnd, relayEndOfAccepted } from "../forwarding/relay-end.ts";

export interface RelayFront extends AsyncDisposable {
  readonly port: number;
  readonly relays: Relay[];
  /** Their sides of the connections to the target. */
  readonly targets: Duplex[];
  /** Resolves when the first relay has begun. */
  readonly begun: Promise<void>;
  /** How the first relay ended. */
  readonly outcome: Promise<RelayOutcome>;
}

/** `pooled`: reads into shared buffers; `stream`: what is used where Node does not allow that. */
export type RelayMode = "pooled" | "stream";

/** A listener on 127.0.0.1 whose connections are relayed to `target`. */
export async function relayTo(target: net.TcpNetConnectOpts, mode: RelayMode): Promise<RelayFront> {
  const relays: Relay[] = [];
  const targets: Duplex[] = [];
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  let begin: () => void;
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const outcome = new Promise<RelayOutcome>((resolve) => {
    server.on("connection", async (socket) => {
      const end = mode === "pooled" ? await connectPooled(target) : await connectStream(target);
      const relay = new Relay(mode === "pooled" ? relayEndOfAccepted(socket) : { stream: socket }, end);
      relays.push(relay);
      targets.push(end.stream);
      begin();
      resolve(await relay.closed);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as net.AddressInfo).port,
    ...{ relays, targets },
    begun,
    outcome,
    async [Symbol.asyncDispose]() {
      for (const relay of relays) relay.cut();
      server.close();
      await once(server, "close");
    },
  };
}

function connectPooled(target: net.TcpNetConnectOpts): Promise<RelayEnd> {
  return new Promise((onConnected, onFailed) => startConnecting(target, { onConnected, onFailed }));
}

async function connectStream(target: net.TcpNetConnectOpts): Promise<RelayEnd> {
  const socket = net.connect({ ...target, allowHalfOpen: true, noDelay: true });
  socket.pause();
  await once(socket, "connect");
  return { stream: socket };
}

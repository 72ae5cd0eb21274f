import { once } from "node:events";
import net from "node:net";
import { Hop } from "@farside/ssh";
import { hopOptionsFor, startSshd } from "@farside/ssh/testing";
import { readPool } from "../../forwarding/read-pool.ts";
import { RoutePool } from "../../forwarding/route-pool.ts";
import { sshTarget } from "../../forwarding/ssh-target.ts";
import type { JoinedRelay, Target } from "../../forwarding/target.ts";
import { tcpTarget } from "../../forwarding/tcp-target.ts";

export const relayRouteKinds = ["TCP target", "data path", "slow way"] as const;
export type RelayRouteKind = (typeof relayRouteKinds)[number];

/** A pair of connections, joined by a relay. */
export interface JoinedPair {
  readonly client: net.Socket;
  readonly service: net.Socket;
  readonly relay: JoinedRelay;
}

/** A way that relays can take in one process, the sshd of the SSH ways being a real one. */
export interface RelayRoute extends AsyncDisposable {
  readonly kind: RelayRouteKind;
  /** A relay of its own; neither end is read yet. Whoever joined them destroys both. */
  join(): Promise<JoinedPair>;
  /** Buffers and channels that are in use; none when no relay is. */
  held(): number;
}

const never = new AbortController().signal;

export async function relayRoute(kind: RelayRouteKind): Promise<RelayRoute> {
  const service = await pausingServer();
  const front = await pausingServer();
  const { target, held, close } =
    kind === "TCP target" ? direct(service.port) : await overSsh(kind, service.port);
  const join = async (): Promise<JoinedPair> => {
    const accepted = front.next();
    const client = net.connect({ host: "127.0.0.1", port: front.port, allowHalfOpen: true, noDelay: true });
    client.on("error", () => {}).pause();
    const served = service.next();
    const [dialled, inner] = await Promise.all([target.dial(never), accepted, once(client, "connect")]);
    return { client, service: await served, relay: dialled.join(inner) };
  };
  // One after the other: then who is accepted next is who has connected last.
  let last: Promise<unknown> = Promise.resolve();
  return {
    kind,
    held: () => readPool.lent + held(),
    join() {
      const joined = last.then(join);
      last = joined.catch(() => {});
      return joined;
    },
    async [Symbol.asyncDispose]() {
      await target.close();
      await close();
      await Promise.all([front.close(), service.close()]);
    },
  };
}

interface Dialling {
  readonly target: Target;
  held(): number;
  close(): Promise<void>;
}

function direct(port: number): Dialling {
  return { target: tcpTarget("127.0.0.1", port), held: () => 0, close: async () => {} };
}

async function overSsh(kind: RelayRouteKind, port: number): Promise<Dialling> {
  const sshd = await startSshd();
  const hops: Hop[] = [];
  const pool = new RoutePool({
    connect: async () => {
      const hop = await Hop.connect(
        await hopOptionsFor(sshd, { leg: "hop", dataPath: kind === "data path" }),
      );
      if ((hop.dataPath !== undefined) !== (kind === "data path"))
        throw new Error(hop.noDataPath ?? "a data path");
      hops.push(hop);
      return hop;
    },
    onConnected: () => {},
    onLost: () => {},
  });
  const hostKeys = sshd.hostKeys.map(({ publicKey }) => publicKey.blob);
  const hop = { hopId: "1", user: sshd.user, host: sshd.host, port: sshd.port, hostKeys, publicKeys: [] };
  return {
    target: sshTarget({ kind: "tcp", host: "127.0.0.1", port }, pool.lease([hop])),
    held: () => hops.reduce((sum, { dataPath }) => sum + (dataPath?.channelCount ?? 0), 0),
    async close() {
      await pool.close();
      await sshd[Symbol.asyncDispose]();
    },
  };
}

/** A server whose connections are handed out in order, paused and unread. */
async function pausingServer(): Promise<{
  port: number;
  next(): Promise<net.Socket>;
  close(): Promise<void>;
}> {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  server.listen(0, "127.0.0.1", 512);
  await once(server, "listening");
  return {
    port: (server.address() as net.AddressInfo).port,
    async next() {
      const [socket] = (await once(server, "connection")) as [net.Socket];
      socket.on("error", () => {});
      return socket;
    },
    async close() {
      server.close();
      await once(server, "close");
    },
  };
}

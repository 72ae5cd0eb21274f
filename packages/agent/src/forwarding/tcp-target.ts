import { lookup } from "node:dns/promises";
import net from "node:net";
import { abortable, deadline } from "@farside/protocol";
import { type ConnectingEvents, connectWithin } from "./connect-socket.ts";
import { startConnectingToFirst } from "./connect-to-first.ts";
import { formatEndpoint } from "./format-endpoint.ts";
import { dialledStream, type Target } from "./target.ts";
import { targetFailure } from "./target-failure.ts";

const CONNECT_TIMEOUT_MS = 10_000;
const MAX_ADDRESSES = 8;

export interface TcpTargetOptions {
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  readonly connectTimeoutMs?: number;
}

/** `host:port` as the agent's own host sees it. All addresses of the name are tried; `localhost` is both loopback addresses. */
export function tcpTarget(host: string, port: number, options: TcpTargetOptions = {}): Target {
  const { resolve = resolveHost, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
  const label = formatEndpoint(host, port);
  const close = async () => {};
  // A thousand clients at once ask the name service once.
  let resolving: Promise<readonly string[]> | undefined;
  const addresses = () => {
    resolving ??= resolve(host).finally(() => {
      resolving = undefined;
    });
    return resolving;
  };
  const tooSlow = () => targetFailure({ code: "ETIMEDOUT" }, label);
  const resolveWithin = async (signal: AbortSignal) => {
    const limit = deadline(connectTimeoutMs, tooSlow, { signal });
    return await abortable(addresses(), limit.signal).finally(limit.release);
  };
  const ownAddresses = options.resolve === undefined ? addressesWithoutName(host) : undefined;
  return {
    label,
    connect: async () => {},
    async dial(signal) {
      try {
        const startedAt = performance.now();
        const found = ownAddresses ?? (await resolveWithin(signal));
        const timeoutMs = connectTimeoutMs - (performance.now() - startedAt);
        const start = (events: ConnectingEvents) => startConnectingToFirst(found, port, events);
        return dialledStream(await connectWithin({ signal, timeoutMs, tooSlow }, start));
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        throw targetFailure(error, label);
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Of an address, and of `localhost`, whatever /etc/hosts says: a service may listen on either. */
function addressesWithoutName(host: string): readonly string[] | undefined {
  if (net.isIP(host) !== 0) return [host];
  return host === "localhost" ? ["127.0.0.1", "::1"] : undefined;
}

async function resolveHost(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true, verbatim: true });
  return [...new Set(found.map(({ address }) => address))].slice(0, MAX_ADDRESSES);
}

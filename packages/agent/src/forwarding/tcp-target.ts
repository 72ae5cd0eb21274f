import { lookup } from "node:dns/promises";
import net from "node:net";
import { abortable, deadline } from "@farside/protocol";
import { connectSocket } from "./connect-socket.ts";
import { formatEndpoint } from "./format-endpoint.ts";
import type { RelayEnd } from "./relay-end.ts";
import { dialledStream, type Target } from "./target.ts";
import { targetFailure } from "./target-failure.ts";

const CONNECT_TIMEOUT_MS = 10_000;
/** Head start of an address before the next one is tried as well (RFC 8305, 5). */
const NEXT_ADDRESS_DELAY_MS = 250;
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
  return {
    label,
    connect: async () => {},
    async dial(signal) {
      const limit = deadline(connectTimeoutMs, () => targetFailure({ code: "ETIMEDOUT" }, label), { signal });
      try {
        const found = await abortable(addresses(), limit.signal);
        return dialledStream(await connectToFirst(found, port, limit.signal));
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        throw targetFailure(error, label);
      } finally {
        limit.release();
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function resolveHost(host: string): Promise<readonly string[]> {
  if (net.isIP(host) !== 0) return [host];
  // Whatever /etc/hosts says: a service may listen on either.
  if (host === "localhost") return ["127.0.0.1", "::1"];
  const found = await lookup(host, { all: true, verbatim: true });
  return [...new Set(found.map(({ address }) => address))].slice(0, MAX_ADDRESSES);
}

/** The first connection that is made; the others are given up. Rejects with the first address's error when all fail. */
function connectToFirst(addresses: readonly string[], port: number, signal: AbortSignal): Promise<RelayEnd> {
  return new Promise((resolve, reject) => {
    const others = new AbortController();
    const abort = () => others.abort(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    const errors: unknown[] = [];
    let started = 0;
    let failed = 0;
    let isSettled = false;
    let timer: NodeJS.Timeout | undefined;
    const settle = () => {
      isSettled = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    };
    const tryNext = () => {
      clearTimeout(timer);
      const index = started;
      const address = addresses[index];
      if (isSettled || address === undefined) return;
      started += 1;
      timer = setTimeout(tryNext, NEXT_ADDRESS_DELAY_MS);
      connectSocket({ host: address, port }, others.signal).then(
        (end) => {
          if (isSettled) {
            end.stream.destroy();
            return;
          }
          settle();
          others.abort();
          resolve(end);
        },
        (error) => {
          errors[index] = error;
          failed += 1;
          if (isSettled) return;
          if (failed < addresses.length && !signal.aborted) {
            tryNext();
            return;
          }
          settle();
          reject(signal.aborted ? signal.reason : errors.find((each) => each !== undefined));
        },
      );
    };
    tryNext();
  });
}

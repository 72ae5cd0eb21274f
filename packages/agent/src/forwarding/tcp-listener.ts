import { lookup } from "node:dns/promises";
import net from "node:net";
import { type BindAddress, CodedError } from "@farside/protocol";
import { isLoopbackAddress } from "./admission.ts";
import { bindFailure } from "./bind-failure.ts";
import { formatEndpoint } from "./format-endpoint.ts";
import type { Listener, ListenerOptions } from "./listener.ts";
import { descriptorOf } from "./server-descriptor.ts";

/** Connections that the kernel completes for us while we are busy; it cuts this at net.core.somaxconn. */
const BACKLOG = 4096;
/** Free ports to try until one is free on every address. */
const MAX_PORT_ATTEMPTS = 16;
const MAX_ADDRESSES = 8;

/** Addresses that `localhost` may mean to a client; ssh(1) binds both, too. */
const LOOPBACK_ADDRESSES = ["127.0.0.1", "::1"] as const;
const WILDCARD_ADDRESSES = ["0.0.0.0", "::"] as const;

/** What a host without IPv6 (or without IPv4) answers to a bind of such an address. */
const MISSING_FAMILY_CODES: ReadonlySet<string> = new Set([
  "EAFNOSUPPORT",
  "EADDRNOTAVAIL",
  "EPROTONOSUPPORT",
]);

type TcpBind = Extract<BindAddress, { kind: "loopback" | "tcp" }>;

/**
 * Listens on every address of `bind`, all on one port, or on none of them. Rejects with `forward.port-in-use` (naming
 * the holder where it can be known) or `forward.bind-refused`.
 */
export async function openTcpListener(bind: TcpBind, options: ListenerOptions): Promise<Listener> {
  const addresses = await addressesToBind(bind);
  return listenerOf(await listenOnAll(addresses, bind.port, options));
}

/** Goes on with sockets that another process listens on: theirs is the bind, the port and the backlog. */
export async function adoptTcpListener(
  descriptors: readonly number[],
  options: ListenerOptions,
): Promise<Listener> {
  const servers: net.Server[] = [];
  try {
    for (const fd of descriptors) servers.push(await listen({ fd, backlog: BACKLOG }, options));
    return listenerOf(servers);
  } catch (error) {
    await closeAll(servers);
    throw error;
  }
}

function listenerOf(servers: readonly net.Server[]): Listener {
  const bound = servers.map((server): BindAddress => {
    const { address, port } = server.address() as net.AddressInfo;
    return { kind: "tcp", address, port };
  });
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= closeAll(servers);
    return closing;
  };
  return {
    bound,
    isLoopback: bound.every((each) => each.kind === "tcp" && isLoopbackAddress(each.address)),
    descriptors: servers.map(descriptorOf),
    close,
    release: close,
    [Symbol.asyncDispose]: close,
  };
}

/** Every address that a listener at `bind` is to have. Rejects with `forward.bind-refused` for a name that has none. */
export async function addressesToBind(bind: TcpBind): Promise<readonly string[]> {
  if (bind.kind === "loopback" || bind.address === "localhost") return LOOPBACK_ADDRESSES;
  if (bind.address === "*") return WILDCARD_ADDRESSES;
  if (net.isIP(bind.address) !== 0) return [bind.address];
  try {
    const found = await lookup(bind.address, { all: true });
    return [...new Set(found.map(({ address }) => address))].slice(0, MAX_ADDRESSES);
  } catch (error) {
    throw new CodedError(
      "forward.bind-refused",
      `cannot listen on ${formatEndpoint(bind.address, bind.port)} of the jump host: it does not know that name`,
      { leg: "bind", hint: "Give an address of the jump host, or leave it out for localhost.", cause: error },
    );
  }
}

async function listenOnAll(
  addresses: readonly string[],
  port: number,
  options: ListenerOptions,
): Promise<net.Server[]> {
  // Kept until the end, so that the kernel does not offer a port again that is taken on another address.
  const rejected: net.Server[][] = [];
  try {
    for (let attempt = 1; ; attempt += 1) {
      const servers: net.Server[] = [];
      const failure = await listenOnOnePort(addresses, port, options, servers);
      if (failure === undefined) return servers;
      rejected.push(servers);
      const isRetried = port === 0 && failure.error.code === "EADDRINUSE" && attempt < MAX_PORT_ATTEMPTS;
      if (!isRetried) throw await bindFailure(failure.address, failure.port, failure.error);
    }
  } finally {
    await Promise.all(rejected.map(closeAll));
  }
}

interface BindAttemptFailure {
  readonly address: string;
  readonly port: number;
  readonly error: NodeJS.ErrnoException;
}

/** Appends to `servers` what listens; stops at the first failure. An address of a family that the host lacks is left out where another is there. */
async function listenOnOnePort(
  addresses: readonly string[],
  port: number,
  options: ListenerOptions,
  servers: net.Server[],
): Promise<BindAttemptFailure | undefined> {
  let missing: BindAttemptFailure | undefined;
  let chosenPort = port;
  for (const address of addresses) {
    try {
      const place = { host: address, port: chosenPort, backlog: BACKLOG, ipv6Only: true, exclusive: true };
      const server = await listen(place, options);
      servers.push(server);
      chosenPort = (server.address() as net.AddressInfo).port;
    } catch (error) {
      const failure = { address, port: chosenPort, error: error as NodeJS.ErrnoException };
      const isFamilyMissing = addresses.length > 1 && MISSING_FAMILY_CODES.has(failure.error.code ?? "");
      if (!isFamilyMissing) return failure;
      missing = failure;
    }
  }
  return servers.length === 0 ? missing : undefined;
}

function listen(
  place: net.ListenOptions & { readonly fd?: number },
  options: ListenerOptions,
): Promise<net.Server> {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  server.on("connection", (socket) => {
    const { remoteAddress, remotePort } = socket;
    const peer = remoteAddress === undefined ? "unknown" : formatEndpoint(remoteAddress, remotePort ?? 0);
    options.onConnection(socket, peer);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(place, () => {
      server.off("error", reject);
      server.on("error", options.onError);
      resolve(server);
    });
  });
}

/** Does not wait for connections: they are the relays'. */
async function closeAll(servers: readonly net.Server[]): Promise<void> {
  for (const server of servers) server.close();
}

import http from "node:http";
import type net from "node:net";
import { type BindAddress, CodedError, isCodedError } from "@farside/protocol";
import { type AdmissionDecision, admitByUid } from "../forwarding/admission.ts";
import { formatEndpoint } from "../forwarding/format-endpoint.ts";
import type { Listener, ListenerOptions } from "../forwarding/listener.ts";
import { PeerUidLookup } from "../forwarding/peer-uid.ts";
import { resetStream } from "../forwarding/reset-socket.ts";
import { userNameOf } from "../forwarding/user-names.ts";
import type { Log } from "../log.ts";
import { RateLimit } from "../rate-limit.ts";
import { type AgentFacts, answerRequests } from "./answer-requests.ts";

/** A monitoring system or two, and somebody who looks. */
const MAX_CONNECTIONS = 16;
/** From accepted to answered, however slowly the other end writes or reads. */
const CONNECTION_TIMEOUT_MS = 5_000;
const MAX_HEADER_BYTES = 8 * 1024;

export interface MetricsServerOptions {
  /** Opens what it listens on: loopback addresses, for there is nothing else that tells users apart. */
  readonly openListener: (options: ListenerOptions) => Promise<Listener>;
  readonly facts: () => AgentFacts;
  /** The agent's own; it and root may ask. */
  readonly uid: number;
  readonly log: Pick<Log, "warn">;
  /** From accepted to answered; default 5 s. */
  readonly connectionTimeoutMs?: number | undefined;
}

/**
 * `GET /metrics` and `GET /healthz` on a loopback TCP port, for the agent's own user and root: whose a connection is, is looked
 * up before a byte of it is read, as for a forward. One request a connection.
 */
export class MetricsServer implements AsyncDisposable {
  readonly #listener: Listener;
  readonly #sockets: ReadonlySet<net.Socket>;
  readonly #lookup: PeerUidLookup;
  #closing: Promise<void> | undefined;

  /** Rejects as the listener does, with words about what it was for. */
  static async open(options: MetricsServerOptions): Promise<MetricsServer> {
    const { uid, facts, log, connectionTimeoutMs = CONNECTION_TIMEOUT_MS } = options;
    const lookup = new PeerUidLookup();
    const answer = answerRequests({ facts });
    const server = http.createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (request, response) => {
      response.setHeader("connection", "close");
      answer(request, response);
    });
    const sockets = new Set<net.Socket>();
    const admit = admitByUid({
      ...{ allowedUids: new Set([0, uid]), allowAnyUser: false, lookup, nameOf: userNameOf },
    });
    const toldRefusals = new RateLimit(10, 0.2);
    const refuse = (socket: net.Socket, peer: string, decision?: AdmissionDecision) => {
      resetStream(socket);
      if (decision?.isAdmitted === false && toldRefusals.take())
        log.warn("a connection to the metrics port was refused", {
          ...{ peer, uid: decision.uid, reason: decision.reason },
        });
    };
    const accept = async (socket: net.Socket, peer: string) => {
      socket.on("error", () => undefined);
      if (sockets.size >= MAX_CONNECTIONS) return refuse(socket, peer);
      sockets.add(socket);
      const late = setTimeout(() => resetStream(socket), connectionTimeoutMs);
      socket.on("close", () => {
        clearTimeout(late);
        sockets.delete(socket);
      });
      const decision = await admit(socket);
      if (!decision.isAdmitted) return refuse(socket, peer, decision);
      if (socket.destroyed) return;
      server.emit("connection", socket);
      socket.resume();
    };
    try {
      const listener = await options.openListener({
        onConnection: (socket, peer) => void accept(socket, peer).catch(() => refuse(socket, peer)),
        onError: ({ message }) => log.warn("accepting a connection to the metrics port failed", { message }),
      });
      if (listener.isLoopback) return new MetricsServer({ listener, sockets, lookup });
      await listener.close();
      throw new Error("a metrics port that others reach");
    } catch (error) {
      await lookup.close();
      throw named(error);
    }
  }

  private constructor(parts: {
    listener: Listener;
    sockets: ReadonlySet<net.Socket>;
    lookup: PeerUidLookup;
  }) {
    this.#listener = parts.listener;
    this.#sockets = parts.sockets;
    this.#lookup = parts.lookup;
  }

  get bound(): readonly BindAddress[] {
    return this.#listener.bound;
  }

  /** Of the listening sockets, for a process that goes on with them. */
  get descriptors(): readonly number[] {
    return this.#listener.descriptors;
  }

  /** Whether it listens on `address`: `127.0.0.1:9100`. */
  isAt(address: string): boolean {
    return this.bound.some((at) => at.kind === "tcp" && formatEndpoint(at.address, at.port) === address);
  }

  /** Another process goes on with the sockets: accepts nothing more, and answers what was accepted. */
  async release(): Promise<void> {
    await this.#listener.release();
  }

  /** Closes the port and cuts who is connected. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#listener.close();
    for (const socket of this.#sockets) resetStream(socket);
    await this.#lookup.close();
  }
}

function named(error: unknown): unknown {
  if (!isCodedError(error)) return error;
  const { code, message, hint, leg, data } = error;
  return new CodedError(code, `opening the port for metrics: ${message}`, { hint, leg, data, cause: error });
}

import type { Duplex } from "node:stream";
import { CodedError } from "@farside/protocol/errors";
import type { Client } from "ssh2";
import { dialFailure } from "../errors-of-ssh2.ts";
import { ChannelHub } from "./channel-hub.ts";
import type { ChannelTarget } from "./channel-opening.ts";
import { FIRST_CHANNEL } from "./channel-table.ts";
import type { FastChannel } from "./fast-channel.ts";
import {
  ATTACH_DEADLINE_MS,
  OPEN_DEADLINE_MS,
  OVERDUE_BYTES,
  OVERDUE_BYTES_PER_CHANNEL,
  REKEY_BYTES,
} from "./limits.ts";
import { keyExchangeUnderWay, type Ssh2Client, shapeProblem } from "./ssh2-shape.ts";
import { Transport } from "./transport.ts";
import { processWindows, type WindowBudget } from "./window-budget.ts";

export interface DataPathOptions {
  /** Names the hop in messages: `user@host`. */
  readonly name?: string | undefined;
  /** Called once when the data path gives the connection up (a server that breaks the protocol); default: ssh2's `error`. */
  readonly onFailure?: ((error: CodedError) => void) | undefined;
  /** New keys after so many bytes both ways together; default 2^35. */
  readonly rekeyBytes?: number | undefined;
  /** What may wait for a server that does not read before it is given up, besides a share a channel; default 32 MiB. */
  readonly overdueBytes?: number | undefined;
  /** Default: the one of the process. */
  readonly windows?: WindowBudget | undefined;
}

export interface ChannelOpenOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long the host may take to open the channel, in ms; default 60 000. */
  readonly timeoutMs?: number | undefined;
}

/** Why a data path can't be had on `client`, which is connected by `stream`; undefined where it can. Changes nothing. */
export function canUseDataPath(client: Client, stream: Duplex): string | undefined {
  const problem = shapeProblem(client);
  if (problem !== undefined) return problem;
  const { _sock } = client as unknown as Ssh2Client;
  if (_sock !== stream) return "the client is connected by another stream";
  if (stream.listenerCount("data") !== 1) return "somebody else reads the connection";
  return undefined;
}

/**
 * The channels of one SSH connection that carry relays, on a data path of our own (README.md). It lives as long as the
 * connection, which stays its maker's; ssh2's own channels go on working beside it.
 */
export class DataPath {
  /** Resolves when the connection is gone: with the reason where the data path gave it up, else undefined. */
  readonly closed: Promise<CodedError | undefined>;
  readonly #name: string;
  readonly #transport: Transport;
  readonly #hub: ChannelHub;
  #failure: CodedError | undefined;
  #endReason: CodedError | undefined;
  #resolveClosed: (reason: CodedError | undefined) => void = () => {};

  /**
   * Takes a logged-in connection over, or says why it can't; then nothing was changed. `stream` is what `client` is
   * connected by: fastest from `connectDataSocket`, but any Duplex does.
   */
  static async attach(
    client: Client,
    stream: Duplex,
    options: DataPathOptions = {},
  ): Promise<DataPath | { readonly unavailable: string }> {
    // Never in the midst of what ssh2 is handling: the rest of it would be lost.
    await Promise.resolve();
    if (canUseDataPath(client, stream) === keyExchangeUnderWay) await keysExchanged(client, stream);
    const unavailable = canUseDataPath(client, stream);
    return unavailable === undefined ? new DataPath(client, stream, options) : { unavailable };
  }

  private constructor(client: Client, stream: Duplex, options: DataPathOptions) {
    this.#name = options.name ?? "the host";
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#transport = new Transport(
      client,
      stream,
      {
        firstChannel: FIRST_CHANNEL,
        rekeyBytes: options.rekeyBytes ?? REKEY_BYTES,
        overdueBytes: () =>
          (options.overdueBytes ?? OVERDUE_BYTES) + this.#hub.size * OVERDUE_BYTES_PER_CHANNEL,
      },
      {
        message: (type, id, bytes, from, to) => this.#hub.message(type, id, bytes, from, to),
        runEnded: () => this.#hub.endRun(),
        keysExchanged: () => this.#hub.keysExchanged(),
        failed: (error) => this.#failed(error, client, options),
        closed: () => this.#closed(),
      },
    );
    this.#hub = new ChannelHub(this.#transport, options.windows ?? processWindows);
    this.#transport.start();
  }

  /** Bytes that wait for the SSH connection. */
  get queuedBytes(): number {
    return this.#transport.outbox.queuedBytes;
  }

  /** Channels, also those that the server has not let go of. */
  get channelCount(): number {
    return this.#hub.size;
  }

  /**
   * Opens a channel to `target`. Rejects with `target.forbidden`, `target.unreachable`, `hop.channel-refused`,
   * `hop.lost`, `timeout`, or the signal's reason; a channel that opens after that is closed.
   */
  open(
    target: ChannelTarget,
    { signal, timeoutMs = OPEN_DEADLINE_MS }: ChannelOpenOptions = {},
  ): Promise<FastChannel> {
    const where = describe(target);
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      if (this.#transport.isOver || this.#endReason !== undefined) return reject(this.#lostReason());
      const settle = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", aborted);
      };
      const fail = (error: unknown) => {
        settle();
        reject(error);
      };
      const opening = this.#hub.open(target, {
        opened(channel) {
          settle();
          resolve(channel);
        },
        refused: (reason, description) =>
          fail(dialFailure(Object.assign(new Error(description), { reason }), where, this.#name)),
        failed: fail,
      });
      const giveUp = (error: unknown) => {
        opening?.giveUp();
        fail(error);
      };
      const aborted = () => giveUp(signal?.reason);
      const tooLate = `dialling ${where} from ${this.#name}: no answer within ${timeoutMs / 1000} s`;
      const timer = setTimeout(
        () => giveUp(new CodedError("timeout", tooLate, { leg: "target" })),
        timeoutMs,
      );
      signal?.addEventListener("abort", aborted, { once: true });
      if (opening !== undefined) return;
      const tooMany = `dialling ${where} from ${this.#name}: too many channels on one connection`;
      fail(new CodedError("hop.channel-refused", tooMany, { leg: "hop" }));
    });
  }

  /** Starts a key exchange; relays wait for it. Nothing happens where one is under way. */
  rekey(): void {
    this.#transport.rekey();
  }

  /** Ends every relay with `reason`, because the owner ends the connection. The first reason counts. */
  end(reason: CodedError): void {
    if (this.#endReason !== undefined) return;
    this.#endReason = reason;
    this.#hub.lost(reason);
  }

  #failed(error: CodedError, client: Client, options: DataPathOptions): void {
    this.#failure = error;
    this.#hub.lost(error);
    if (options.onFailure !== undefined) options.onFailure(error);
    else if (client.listenerCount("error") > 0) client.emit("error", error);
  }

  #closed(): void {
    this.#hub.lost(this.#lostReason());
    this.#resolveClosed(this.#failure);
  }

  #lostReason(): CodedError {
    return (
      this.#failure ??
      this.#endReason ??
      new CodedError("hop.lost", `the connection to ${this.#name} was lost`, { leg: "hop" })
    );
  }
}

function describe(target: ChannelTarget): string {
  if ("socketPath" in target) return target.socketPath;
  return `${target.host.includes(":") ? `[${target.host}]` : target.host}:${target.port}`;
}

/** Resolves when a key exchange is over, the connection is, or it takes too long. */
function keysExchanged(client: Client, stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      client.off("handshake", done);
      stream.off("close", done);
      resolve();
    };
    const timer = setTimeout(done, ATTACH_DEADLINE_MS);
    client.on("handshake", done);
    stream.on("close", done);
  });
}

import type { Duplex } from "node:stream";
import { abortable, CodedError, isCodedError } from "@farside/protocol";
import type { Client, ClientChannel } from "ssh2";
import { ChannelStream } from "./channel-stream.ts";
import { DataPath } from "./data-path/data-path.ts";
import { connectDataSocket } from "./data-path/data-socket.ts";
import { asHopFailure, connectionFailure, dialFailure, execFailure, unreachable } from "./errors-of-ssh2.ts";
import { ExecStream, type OnStderr } from "./exec-stream.ts";
import type { HopOptions } from "./hop-options.ts";
import { lendAgent } from "./lend-agent.ts";
import { type Login, logIn } from "./login.ts";
import { internalsOf } from "./ssh2-internals.ts";
import { dialTcp } from "./tcp-dial.ts";

const defaultConnectTimeoutMs = 10_000;
const defaultOpenTimeoutMs = 30_000;
/** How long a closing hop waits for the host before it drops the connection. */
const closeTimeoutMs = 2_000;

export interface OpenOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long the host may take to open the channel, in ms; default 30 000. */
  readonly timeoutMs?: number | undefined;
}

export interface ExecOptions extends OpenOptions {
  /** Gets every chunk of stderr, also those beyond what `ExecStream.stderr` keeps. */
  readonly onStderr?: OnStderr | undefined;
  /**
   * Forwards an ssh-agent to the host (OpenSSH's PROTOCOL, 3.2), for as long as the connection lives: called for each
   * connection to it there with a stream of ssh-agent messages, which it owns; false refuses that one. Rejects with
   * `engine.forwarding-refused` where the host does not want one. Later commands may not have another.
   */
  readonly agent?: ((connection: Duplex) => boolean) | undefined;
}

/**
 * One authenticated SSH connection, born connected: the only place in farside that uses ssh2. Whoever connects it
 * closes it. When it ends, every channel of it is destroyed and every pending call rejects with the reason.
 */
export class Hop implements AsyncDisposable {
  /** The public key blob that the host proved to own and `hostKeys` accepted. */
  readonly serverHostKey: Uint8Array;
  /** `user@host`, with the port where it is not 22: how messages name this hop. */
  readonly name: string;
  /** Resolves when the connection has ended: with `hop.lost` or the reason given to `abort`, undefined after `close`. */
  readonly closed: Promise<CodedError | undefined>;

  readonly #client: Client;
  readonly #stream: Duplex;
  readonly #leg: "jump" | "hop";
  /** What ends with the connection: open streams and pending calls. */
  readonly #dependents = new Set<(reason: CodedError) => void>();
  #resolveClosed: (reason: CodedError | undefined) => void = () => {};
  /** Why nothing can be opened any more; `#isFailure` tells our own close from everything else. */
  #endReason: CodedError | undefined;
  #isFailure = false;
  #closing: Promise<void> | undefined;
  #dataPath: DataPath | undefined;
  #noDataPath: string | undefined;

  /**
   * Connects, checks the host key and logs in. Rejects with `hop.unreachable`, `hop.handshake-failed`, `host-key.*`,
   * `hop.auth-refused`, `hop.no-signature`, `timeout`, what the identity rejected with, or the signal's reason.
   */
  static async connect(options: HopOptions): Promise<Hop> {
    const name = nameOf(options);
    const signal = options.signal ?? new AbortController().signal;
    const stream = await dialHost(options, name, signal);
    try {
      await options.onDialled?.(signal);
    } catch (error) {
      stream.destroy();
      throw error;
    }
    const hop = new Hop(await logIn(stream, options, name, signal), stream, name, options.leg);
    if (options.dataPath === true) await hop.#attachDataPath();
    return hop;
  }

  private constructor(login: Login, stream: Duplex, name: string, leg: "jump" | "hop") {
    this.serverHostKey = login.serverHostKey;
    this.name = name;
    this.#client = login.client;
    this.#stream = stream;
    this.#leg = leg;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    login.handOver({
      failed: (reason) => this.abort(reason),
      closed: () => this.#resolveClosed(this.#isFailure ? this.#endReason : undefined),
    });
  }

  /** The fast way for relays, where it was asked for and can be had; else relays go through `dial` and `dialUnix`. */
  get dataPath(): DataPath | undefined {
    return this.#dataPath;
  }

  /** Why there is no data path although it was asked for: something for the log. */
  get noDataPath(): string | undefined {
    return this.#noDataPath;
  }

  /** Starts `command` in the user's login shell, without a terminal. Rejects with `hop.channel-refused`, `hop.lost` or `timeout`. */
  exec(command: string, options: ExecOptions = {}): Promise<ExecStream> {
    return this.#open(
      `running a command on ${this.name}`,
      this.#leg,
      options,
      (done) => this.#exec(command, options.agent, done),
      (channel) => new ExecStream(channel, options.onStderr),
      (error) => execFailure(error, this.name, this.#leg),
    );
  }

  /**
   * A TCP connection from the host to `host:port`, named as the host sees it. Rejects with `target.forbidden`,
   * `target.unreachable`, `hop.channel-refused`, `hop.lost` or `timeout`.
   */
  dial(host: string, port: number, options: OpenOptions = {}): Promise<ChannelStream> {
    const target = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    return this.#openTarget(target, options, (done) =>
      this.#client.forwardOut("127.0.0.1", 0, host, port, done),
    );
  }

  /** A connection from the host to a unix socket there; rejects as `dial` does. */
  dialUnix(path: string, options: OpenOptions = {}): Promise<ChannelStream> {
    return this.#openTarget(path, options, (done) => this.#client.openssh_forwardOutStreamLocal(path, done));
  }

  /** Says goodbye and waits for the end, at most 2 s. Pending calls and open channels end with `hop.lost`. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Drops the connection at once; what is pending rejects with `reason`, and `closed` resolves with it. */
  abort(reason: CodedError): void {
    this.#end(reason, true);
    this.#stream.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #attachDataPath(): Promise<void> {
    const attached = await DataPath.attach(this.#client, this.#stream, {
      name: this.name,
      onFailure: (error) => this.abort(error),
    });
    if (!(attached instanceof DataPath)) {
      this.#noDataPath = attached.unavailable;
      return;
    }
    this.#dataPath = attached;
    if (this.#endReason === undefined) this.#dependents.add((reason) => attached.end(reason));
    else attached.end(this.#endReason);
  }

  #exec(command: string, agent: ExecOptions["agent"], done: Parameters<OpenChannel>[0]): void {
    if (agent === undefined) {
      this.#client.exec(command, done);
      return;
    }
    lendAgent(internalsOf(this.#client), (connection) => agent(this.#adopt(connection)));
    this.#client.exec(command, { agentForward: true } as never, done);
  }

  async #close(): Promise<void> {
    this.#end(
      new CodedError("hop.lost", `the connection to ${this.name} was closed`, { leg: this.#leg }),
      false,
    );
    this.#client.end();
    const timer = setTimeout(() => this.#stream.destroy(), closeTimeoutMs);
    await this.closed;
    clearTimeout(timer);
    this.#stream.destroy();
  }

  /** The first reason counts. */
  #end(reason: CodedError, isFailure: boolean): void {
    if (this.#endReason !== undefined) return;
    this.#endReason = reason;
    this.#isFailure = isFailure;
    for (const end of this.#dependents) end(reason);
    this.#dependents.clear();
  }

  #openTarget(target: string, options: OpenOptions, open: OpenChannel): Promise<ChannelStream> {
    return this.#open(
      `dialling ${target} from ${this.name}`,
      "target",
      options,
      open,
      (channel) => new ChannelStream(channel),
      (error) => dialFailure(error, target, this.name),
    );
  }

  /** Opens a channel within the deadline; one that comes too late is closed at once. */
  #open<T extends Duplex>(
    doing: string,
    leg: "jump" | "hop" | "target",
    { signal, timeoutMs = defaultOpenTimeoutMs }: OpenOptions,
    open: OpenChannel,
    wrap: (channel: ClientChannel) => T,
    explain: (error: Error) => CodedError,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#endReason !== undefined) return reject(this.#endReason);
      if (signal?.aborted === true) return reject(signal.reason);
      let isSettled = false;
      const settle = () => {
        isSettled = true;
        clearTimeout(timer);
        signal?.removeEventListener("abort", aborted);
        this.#dependents.delete(giveUp);
      };
      const giveUp = (reason: unknown) => {
        settle();
        reject(reason);
      };
      const aborted = () => giveUp(signal?.reason);
      const timer = setTimeout(
        () => giveUp(new CodedError("timeout", `${doing}: no answer within ${timeoutMs / 1000} s`, { leg })),
        timeoutMs,
      );
      signal?.addEventListener("abort", aborted, { once: true });
      this.#dependents.add(giveUp);
      try {
        open((error, channel) => {
          if (error !== undefined && error !== null) {
            if (!isSettled) giveUp(explain(error));
          } else if (isSettled) {
            channel.close();
          } else {
            settle();
            resolve(this.#adopt(wrap(channel)));
          }
        });
      } catch (error) {
        // ssh2 throws where the socket is closing but has not said so yet.
        giveUp(connectionFailure(error, "connected", this.name, this.#leg));
      }
    });
  }

  #adopt<T extends Duplex>(stream: T): T {
    const end = (reason: CodedError) => stream.destroy(reason);
    this.#dependents.add(end);
    stream.once("close", () => this.#dependents.delete(end));
    // An error without a listener would end the process; whoever uses the stream listens too.
    stream.on("error", () => {});
    return stream;
  }
}

type OpenChannel = (done: (error: Error | undefined | null, channel: ClientChannel) => void) => unknown;

function nameOf({ user, host, port }: HopOptions): string {
  return `${user}@${host}${port === 22 ? "" : ` port ${port}`}`;
}

/** The connected stream to the host, within the connect deadline. */
async function dialHost(options: HopOptions, where: string, signal: AbortSignal): Promise<Duplex> {
  const { dial, host, port, leg, connectTimeoutMs = defaultConnectTimeoutMs } = options;
  const attempt = new AbortController();
  const abort = () => attempt.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  const timer = setTimeout(() => {
    const message = `connecting to ${where}: no answer within ${connectTimeoutMs / 1000} s`;
    const hint = "A firewall may drop the packets; check the address and the port.";
    attempt.abort(new CodedError("hop.unreachable", message, { hint, leg }));
  }, connectTimeoutMs);
  try {
    attempt.signal.throwIfAborted();
    const { addressFamily: family, bindAddress: localAddress, dataPath } = options;
    const connect = dataPath === true ? connectDataSocket : undefined;
    const dialled =
      dial?.(attempt.signal) ?? dialTcp(host, port, attempt.signal, { family, localAddress, connect });
    return await abortable(dialled, attempt.signal, (late) => late.destroy());
  } catch (error) {
    if (attempt.signal.aborted) throw attempt.signal.reason;
    throw isCodedError(error) ? asHopFailure(error, where, leg) : unreachable(error, where, leg);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

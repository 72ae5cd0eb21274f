import { type InstalledDescription, toCodedError, toWire } from "@farside/protocol";
import { MetricsServer, type MetricsServerOptions } from "../control/metrics-server.ts";
import { adoptTcpListener, openTcpListener } from "../forwarding/tcp-listener.ts";
import type { Log } from "../log.ts";
import { pauseFor } from "./pause-for.ts";
import { retryPause } from "./retry-pause.ts";

export interface KeptMetricsOptions extends Pick<MetricsServerOptions, "facts" | "uid"> {
  readonly log: Pick<Log, "info" | "warn">;
}

/** What one port takes until it is open, and the port. */
interface Keeping {
  readonly port: number;
  /** Resolves when it is open, or with why the first try failed. */
  readonly tried: Promise<unknown>;
  readonly stopping: AbortController;
  readonly running: Promise<void>;
  server: MetricsServer | undefined;
  lastError: unknown;
}

/** The port for metrics of an installed agent, as its configuration has it now; tried again and again where it can't be had. */
export class KeptMetrics implements AsyncDisposable {
  readonly #options: KeptMetricsOptions;
  #keeping: Keeping | undefined;

  constructor(options: KeptMetricsOptions) {
    this.#options = options;
  }

  /** What it listens on, or why it does not; undefined where there is to be no port. */
  get state(): InstalledDescription["metrics"] {
    if (this.#keeping === undefined) return undefined;
    const { server, lastError } = this.#keeping;
    if (server !== undefined) return { bound: [...server.bound] };
    return { bound: [], ...(lastError !== undefined && { error: toWire(lastError) }) };
  }

  /** Of the listening sockets, for another process that goes on with them. */
  get descriptors(): readonly number[] {
    return this.#keeping?.server?.descriptors ?? [];
  }

  /** Resolves when the port is open, or has failed to be, or where there is to be none. */
  async tried(): Promise<void> {
    await this.#keeping?.tried;
  }

  /**
   * Has the port be `port` from now on; undefined: none. Resolves when it is open, or with why the first try failed. `inherited`
   * are sockets of another process that listen there already.
   */
  async set(port: number | undefined, inherited: readonly number[] = []): Promise<unknown> {
    if (port === this.#keeping?.port) return undefined;
    await this.close();
    if (port === undefined) return undefined;
    let tell: (error?: unknown) => void = () => undefined;
    const tried = new Promise<unknown>((resolve) => {
      tell = resolve;
    });
    const stopping = new AbortController();
    const keeping: Keeping = {
      ...{ port, stopping, tried, server: undefined, lastError: undefined },
      running: Promise.resolve().then(() => this.#keep(keeping, inherited, tell)),
    };
    this.#keeping = keeping;
    return tried;
  }

  /** Another process goes on with the port. */
  async release(): Promise<void> {
    this.#keeping?.stopping.abort();
    await this.#keeping?.server?.release();
  }

  /** Idempotent. */
  async close(): Promise<void> {
    const keeping = this.#keeping;
    this.#keeping = undefined;
    keeping?.stopping.abort();
    await keeping?.running;
    await keeping?.server?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #keep(
    keeping: Keeping,
    inherited: readonly number[],
    tell: (error?: unknown) => void,
  ): Promise<void> {
    const { facts, uid, log } = this.#options;
    const { port, stopping } = keeping;
    for (let tries = 0; !stopping.signal.aborted; tries += 1) {
      try {
        keeping.server = await MetricsServer.open({
          ...{ facts, uid, log },
          openListener: (options) =>
            tries === 0 && inherited.length > 0
              ? adoptTcpListener(inherited, options)
              : openTcpListener({ kind: "loopback", port }, options),
        });
        log.info("metrics port open");
        break;
      } catch (error) {
        keeping.lastError = error;
        const pause = retryPause(tries);
        const { code, message } = toCodedError(error);
        log.warn("metrics port not open, tried again", { code, error: message, inMs: pause });
        tell(error);
        await pauseFor(pause, stopping.signal);
      }
    }
    tell();
  }
}

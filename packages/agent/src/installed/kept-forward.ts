import {
  type BindAddress,
  CodedError,
  type InstalledForward,
  type OpenForwardParams,
  toCodedError,
} from "@farside/protocol";
import type { ForwardTable } from "../forwarding/forward-table.ts";
import type { Listener, ListenerOptions } from "../forwarding/listener.ts";
import { adoptListener } from "../forwarding/open-listener.ts";
import type { Log } from "../log.ts";
import type { TakeoverRequest } from "../takeover/decide-takeover.ts";
import { openTakingOver, type TakenOver } from "../takeover/open-taking-over.ts";
import { expandHome } from "./expand-home.ts";
import { pauseFor } from "./pause-for.ts";
import { retryPause } from "./retry-pause.ts";

/** No session is called so. */
const FROM_NO_LIVE_ONE: TakeoverRequest = { session: "an installed agent", lostRuns: [], isForced: false };

/**
 * `opening`: the listener and the hops are being opened. `open`: it is in the agent's table, which knows more. `waiting`: a
 * try failed and another comes. `failed`: no try can help but another configuration. `closed`: it was retired.
 */
export type KeptState =
  | { readonly phase: "opening"; readonly bound: readonly BindAddress[] }
  | { readonly phase: "open"; readonly bound: readonly BindAddress[] }
  | { readonly phase: "waiting"; readonly lastError: CodedError; readonly retryAt: number }
  | { readonly phase: "failed"; readonly lastError: CodedError }
  | { readonly phase: "closed" };

export interface KeptForwardOptions {
  readonly config: InstalledForward;
  readonly table: Pick<ForwardTable, "open" | "retire">;
  readonly home: string;
  readonly log: Pick<Log, "info" | "warn">;
  /** Descriptors of the sockets that another process listens on for this forward; the hops are connected before they are taken. */
  readonly inherited?: readonly number[] | undefined;
  /** From 0 to 1; default `Math.random`. */
  readonly random?: () => number;
}

/** One forward of an installed agent, opened again and again until it is open: its port may be taken, a host may be down. */
export class KeptForward {
  readonly config: InstalledForward;
  /** Resolves when it listens for the first time, or has failed to for the first time. */
  readonly listened: Promise<CodedError | undefined>;
  /** Resolves when it is open for the first time, or a try has failed. */
  readonly settled: Promise<void>;
  readonly #options: KeptForwardOptions;
  readonly #running: Promise<void>;
  /** Of the present try and the pause behind it. */
  #try = new AbortController();
  #state: KeptState = { phase: "opening", bound: [] };
  #tries = 0;
  #inherited: readonly number[] | undefined;
  /** Another process serves the port until the hops are there. */
  #isTakenOver: boolean;
  #hasListened: (error?: CodedError) => void = () => undefined;
  #hasSettled: () => void = () => undefined;

  /** Starts at once. */
  constructor(options: KeptForwardOptions) {
    this.#options = options;
    this.config = options.config;
    this.#inherited = options.inherited;
    this.#isTakenOver = options.inherited !== undefined;
    this.listened = new Promise((resolve) => {
      this.#hasListened = resolve;
    });
    this.settled = new Promise((resolve) => {
      this.#hasSettled = resolve;
    });
    this.#running = this.#run();
  }

  get state(): KeptState {
    return this.#state;
  }

  /** Gives up its listener at once; its relays have the grace. Resolves when they are gone. Idempotent. */
  async retire(graceMs: number): Promise<void> {
    this.#state = { phase: "closed" };
    this.#try.abort(new CodedError("canceled", `the forward ${this.config.id} was taken away`));
    await this.#options.table.retire(this.config.id, graceMs);
    await this.#running;
  }

  /** No longer waits for its hops before it listens: the other process can't serve any longer. */
  listenNow(): void {
    if (!this.#isTakenOver || this.#state.phase !== "opening") return;
    this.#isTakenOver = false;
    this.#try.abort(new CodedError("timeout", "the other process is ending"));
  }

  async #run(): Promise<void> {
    const { config, log } = this.#options;
    while (this.#state.phase !== "closed") {
      this.#try = new AbortController();
      const { signal } = this.#try;
      try {
        const bound = await this.#open(signal);
        if (this.#isClosed()) return;
        this.#state = { phase: "open", bound };
        log.info("forward open", { forward: config.id });
        this.#hasSettled();
        return;
      } catch (error) {
        if (!signal.aborted) await this.#failed(toCodedError(error), signal);
      }
    }
  }

  #isClosed(): boolean {
    return this.#state.phase === "closed";
  }

  async #open(signal: AbortSignal): Promise<readonly BindAddress[]> {
    const { table } = this.#options;
    const inherited = this.#inherited;
    this.#state = { phase: "opening", bound: [] };
    return table.open(this.#params(), signal, {
      isTakenOver: this.#isTakenOver,
      openListener: async (bind, options) => {
        const listener =
          inherited === undefined
            ? await this.#listen(bind, options)
            : await adoptListener(bind, inherited, options);
        this.#inherited = undefined;
        this.#isTakenOver = false;
        if (this.#state.phase === "opening") this.#state = { phase: "opening", bound: listener.bound };
        this.#hasListened();
        return listener;
      },
    });
  }

  /** What hung agents and dead processes have left is taken over, also a socket of the agent's own that it could not remove. */
  #listen(bind: BindAddress, options: ListenerOptions): Promise<Listener> {
    const { config, log } = this.#options;
    const onTaken = ({ address, from, reason }: TakenOver) =>
      log.warn("a port was taken over", { forward: config.id, address, from: from?.session, reason });
    const context = { uid: process.getuid?.() ?? -1, request: FROM_NO_LIVE_ONE, onTaken };
    return openTakingOver(bind, { ...options, isHandedOn: true }, context);
  }

  async #failed(error: CodedError, signal: AbortSignal): Promise<void> {
    const { config, log, random } = this.#options;
    this.#hasListened(error);
    this.#hasSettled();
    const fields = { forward: config.id, code: error.code, error: error.message };
    if (error.code === "config.invalid") {
      log.warn("forward failed", fields);
      this.#state = { phase: "failed", lastError: error };
      await pauseFor(undefined, signal);
      return;
    }
    const pause = retryPause(this.#tries, random);
    this.#tries += 1;
    log.warn("forward not open, tried again", { ...fields, inMs: pause });
    this.#state = { phase: "waiting", lastError: error, retryAt: Date.now() + pause };
    await pauseFor(pause, signal);
  }

  #params(): OpenForwardParams {
    const { config, home } = this.#options;
    const { id, bind, target, route, admission, maxRelays, connections, probeMs } = config;
    const inHome = <Address extends BindAddress | OpenForwardParams["target"]>(address: Address): Address =>
      address.kind === "unix" ? { ...address, path: expandHome(address.path, home) } : address;
    return {
      ...{ forwardId: id, admission, maxRelays, connections },
      bind: inHome(bind),
      target: inHome(target),
      route: route.map(({ hopId, user, host, port, hostKeys }) => ({
        ...{ hopId, user, host, port },
        hostKeys: hostKeys.map((key) => Buffer.from(key, "base64")),
        // Whoever logs in offers their own.
        publicKeys: [],
      })),
      ...(probeMs > 0 && { probeMs }),
    };
  }
}

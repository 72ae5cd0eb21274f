import { abortable, CodedError, type HopDeclaration, isCodedError, toCodedError } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { DialBudget } from "./dial-budget.ts";
import { Redial } from "./redial.ts";

/** What somebody who uses a hop is told of it. */
export type HopNews =
  | { readonly news: "up" }
  /** Gone, or could not be had again. `retryInMs`: when it is dialled again, where it is. */
  | { readonly news: "down"; readonly error: CodedError; readonly retryInMs: number | undefined }
  /** A signature was asked for that is not there yet; or it is there, or not wanted any more. */
  | { readonly news: "signing"; readonly isWanted: boolean; readonly hop: HopDeclaration };

/** Dials and logs in to `hop`, from `previous` or, where there is none, from this host. */
export type ConnectHop = (
  hop: HopDeclaration,
  previous: Hop | undefined,
  attempt: DialAttempt,
) => Promise<Hop>;

export interface DialAttempt {
  readonly signal: AbortSignal;
  /** Called with true when a signature is asked for, and with false when that is over. */
  readonly onSigning: (isWanted: boolean) => void;
  /** Waited for right before the host is dialled: not all hops and further connections log in to one host at a time. Rejects where it must not be dialled. */
  readonly admit: () => Promise<void>;
  /** Told of each connection that was made on the way to the one that counts, and broken off. */
  readonly onBrokenOff: (error: CodedError) => void;
}

export interface SharedHopEvents {
  /** Called for each connection, also further ones. */
  readonly onConnected: (hop: HopDeclaration, hostKey: Uint8Array) => void;
  readonly onLost: (hop: HopDeclaration, error: CodedError) => void;
}

export interface SharedHopOptions extends SharedHopEvents {
  readonly connect: ConnectHop;
  readonly budget?: DialBudget | undefined;
}

type State =
  /** `isJustLost`: it was lost, and not tried again since. */
  | { readonly phase: "idle"; readonly lastError?: CodedError | undefined; readonly isJustLost?: boolean }
  | { readonly phase: "connecting"; readonly hop: Promise<Hop> }
  | { readonly phase: "connected"; readonly hop: Hop }
  | { readonly phase: "closed" };

/** One hop of a route, connected once for all who need it, and again after it was lost: on demand, and by itself while somebody keeps it. */
export class SharedHop {
  readonly declaration: HopDeclaration;
  readonly #previous: SharedHop | undefined;
  readonly #options: SharedHopOptions;
  readonly #budget: DialBudget;
  readonly #ending = new AbortController();
  readonly #redial: Redial;
  readonly #watchers = new Set<(news: HopNews) => void>();
  #state: State = { phase: "idle" };
  /** It was there once: who opens it for the first time is told by the failure itself. */
  #wasUp = false;
  #keepers = 0;

  constructor(declaration: HopDeclaration, previous: SharedHop | undefined, options: SharedHopOptions) {
    this.declaration = declaration;
    this.#previous = previous;
    this.#options = options;
    this.#budget = options.budget ?? new DialBudget();
    this.#redial = new Redial({
      // What became of it is told to those who watch.
      dial: () => void this.get(this.#ending.signal).catch(() => {}),
      soonestMs: () => this.#budget.waitMs,
    });
  }

  /** Calls `watcher` with what happens to the hop; the returned function ends that. */
  watch(watcher: (news: HopNews) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** From now on it is dialled again by itself when it is lost, until the returned function is called as often as this one. */
  keep(): () => void {
    this.#keepers += 1;
    return () => {
      this.#keepers -= 1;
      if (this.#keepers === 0) this.#redial.stop();
    };
  }

  /** The connected hop. All who wait share one connect; giving up by `signal` does not stop it for the others. */
  get(signal: AbortSignal): Promise<Hop> {
    switch (this.#state.phase) {
      case "connected":
        return Promise.resolve(this.#state.hop);
      case "closed":
        return Promise.reject(this.#closedError());
      case "idle": {
        const { lastError, isJustLost = false } = this.#state;
        // Whoever needs it can't have it sooner: all hosts that have lost it would dial at the same moment.
        const begin = isJustLost ? this.#redial.whenOver() : Promise.resolve();
        this.#state = { phase: "connecting", hop: begin.then(() => this.#connect(lastError)) };
        this.#state.hop.catch(() => undefined);
      }
    }
    return abortable(this.#state.hop, signal);
  }

  /** The connected hop, where it is now. */
  get connected(): Hop | undefined {
    return this.#state.phase === "connected" ? this.#state.hop : undefined;
  }

  /** Whether a further connection leaves enough of a minute's signatures for a hop that is lost. */
  get mayConnectAnother(): boolean {
    return this.#budget.hasSpare;
  }

  /** A further connection to the host that the connected hop is, which the caller closes. */
  async connectAnother(signal: AbortSignal): Promise<Hop> {
    const previous = await this.#previous?.get(signal);
    const { host } = this.declaration;
    const expected = this.connected?.serverHostKey;
    if (expected === undefined) throw noFurther(host, "the first one was lost");
    if (!this.mayConnectAnother) throw noFurther(host, "it was dialled too often within a minute");
    this.#budget.spend();
    const hop = await this.#login(previous, signal, {
      lastError: undefined,
      onSigning: () => {},
      onFailure: (error, wasDialled) => wasDialled && this.#budget.penalties.charge(error),
    });
    if (Buffer.compare(expected, hop.serverHostKey) !== 0) {
      await hop.close();
      throw noFurther(host, "another host answered");
    }
    this.#options.onConnected(this.declaration, hop.serverHostKey);
    return hop;
  }

  /** Ends the connection or the attempt. Idempotent. */
  async close(): Promise<void> {
    const state = this.#state;
    this.#state = { phase: "closed" };
    this.#redial.stop();
    this.#ending.abort(this.#closedError());
    if (state.phase === "connected") await state.hop.close();
    if (state.phase === "connecting") await state.hop.then((hop) => hop.close()).catch(() => undefined);
  }

  async #connect(lastError: CodedError | undefined): Promise<Hop> {
    try {
      const { signal } = this.#ending;
      signal.throwIfAborted();
      const previous = await this.#previous?.get(signal);
      const hop = await this.#dial(previous, lastError, signal);
      if (this.#isClosed()) {
        await hop.close();
        throw this.#closedError();
      }
      this.#state = { phase: "connected", hop };
      this.#wasUp = true;
      this.#redial.succeeded();
      this.#tell({ news: "up" });
      void hop.closed.then((error) => this.#lost(hop, error));
      this.#options.onConnected(this.declaration, hop.serverHostKey);
      return hop;
    } catch (error) {
      const failure = toCodedError(error);
      if (!this.#isClosed()) {
        this.#state = { phase: "idle", lastError: failure };
        this.#isDown(failure, { isNews: !isTooSoon(failure) });
      }
      throw failure;
    }
  }

  async #dial(
    previous: Hop | undefined,
    lastError: CodedError | undefined,
    signal: AbortSignal,
  ): Promise<Hop> {
    const { waitMs } = this.#budget;
    if (waitMs > 0) throw tooSoon(this.declaration, lastError ?? this.#budget.penalties.lastError, waitMs);
    this.#budget.spend();
    const hop = await this.#login(previous, signal, {
      lastError,
      onSigning: (isWanted) => this.#tell({ news: "signing", isWanted, hop: this.declaration }),
      onFailure: (error, wasDialled) => this.#budget.failed(error, wasDialled),
    });
    this.#budget.succeeded();
    return hop;
  }

  async #login(
    previous: Hop | undefined,
    signal: AbortSignal,
    {
      lastError,
      onSigning,
      onFailure,
    }: Pick<DialAttempt, "onSigning"> & {
      /** Of this hop: what another one was refused for says nothing of it. */
      readonly lastError: CodedError | undefined;
      readonly onFailure: (error: CodedError, wasDialled: boolean) => void;
    },
  ): Promise<Hop> {
    const { penalties } = this.#budget;
    let leave = (): void => {};
    let wasDialled = false;
    const admit = async (): Promise<void> => {
      leave();
      leave = await penalties.enter(signal);
      // Those who were before us may have been refused.
      const { waitMs } = penalties;
      if (waitMs > 0) throw tooSoon(this.declaration, lastError, waitMs);
      wasDialled = true;
    };
    const onBrokenOff = (error: CodedError): void => penalties.charge(error);
    try {
      return await this.#options.connect(this.declaration, previous, {
        ...{ signal, onSigning, admit, onBrokenOff },
      });
    } catch (error) {
      const failure = toCodedError(error);
      // Before the next may dial, who is to know of it.
      if (!isTooSoon(failure)) onFailure(failure, wasDialled);
      throw failure;
    } finally {
      leave();
    }
  }

  #lost(hop: Hop, error: CodedError | undefined): void {
    if (this.#state.phase !== "connected" || this.#state.hop !== hop) return;
    const reason = error ?? new CodedError("hop.lost", `the connection to ${hop.name} ended`, { leg: "hop" });
    this.#state = { phase: "idle", lastError: reason, isJustLost: true };
    this.#options.onLost(this.declaration, reason);
    this.#isDown(reason);
  }

  #isDown(error: CodedError, { isNews } = { isNews: true }): void {
    // What is due will be tried: relays that fail meanwhile change nothing.
    if (!this.#wasUp || this.#redial.isDue) return;
    const retryInMs = this.#keepers > 0 ? this.#redial.after(error) : undefined;
    if (isNews || retryInMs !== undefined) this.#tell({ news: "down", error, retryInMs });
  }

  #tell(news: HopNews): void {
    for (const watcher of this.#watchers) watcher(news);
  }

  #isClosed(): boolean {
    return this.#state.phase === "closed";
  }

  #closedError(): CodedError {
    return new CodedError("hop.lost", `the connection to ${this.declaration.host} was closed`, {
      leg: "hop",
    });
  }
}

function noFurther(host: string, why: string): CodedError {
  return new CodedError("hop.lost", `opening a further connection to ${host}: ${why}`, { leg: "hop" });
}

/** Nothing was dialled for `error`: the host would turn us away. */
export function isTooSoon({ data }: CodedError): boolean {
  return data?.["tooSoon"] === true;
}

/** What failed last, said again without dialling. */
function tooSoon(hop: HopDeclaration, lastError: CodedError | undefined, waitMs: number): CodedError {
  const again = `dialled again in ${Math.ceil(waitMs / 1000)} s at the earliest`;
  if (lastError === undefined || !isCodedError(lastError)) {
    return new CodedError("hop.lost", `connecting to ${hop.host}: it drops its connections; ${again}`, {
      leg: "hop",
      data: { tooSoon: true },
    });
  }
  const message = lastError.message.replace(/ \(dialled again in .*\)$/, "");
  return new CodedError(lastError.code, `${message} (${again})`, {
    ...{ hint: lastError.hint, leg: "hop" },
    data: { ...lastError.data, tooSoon: true },
  });
}

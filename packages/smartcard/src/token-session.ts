import { setTimeout as delay } from "node:timers/promises";
import { CodedError } from "@farside/protocol";
import type { CardDeadlines } from "./deadlines.ts";
import { type PinReason, triesLeftOf } from "./pin.ts";
import { pivTriesLeft } from "./piv-tries.ts";
import { deviceRemoved, isSessionGone, isVague, ModuleFailure, toCardError } from "./pkcs11-error.ts";
import type { ObjectFacts, Presence, SignerCallName, SignerCalls, TokenFacts } from "./signer-messages.ts";
import { type CallOptions, type Signer, SignerProcess, type SignerProcessOptions } from "./signer-process.ts";
import { describeToken } from "./token-choice.ts";
import { Turnstile } from "./turnstile.ts";

const REMOVAL_NOTICE_MS = 1_500;
const REMOVAL_LOOK_MS = 100;

export interface TokenSessionOptions extends SignerProcessOptions {
  readonly modulePath: string;
  readonly deadlines: CardDeadlines;
  /** Makes what holds the module. Default: a process of its own. */
  readonly startSigner?: ((options: SignerProcessOptions) => Promise<Signer>) | undefined;
}

/**
 * A session with one token, which comes back after what may happen to it: the signer is started again when its module
 * crashed or hung, the token is found again when the card was out. Whether somebody is logged in is known here, and why
 * not. Takes one call after the other.
 */
export class TokenSession implements AsyncDisposable {
  /** Why the next PIN entry is needed. */
  reason: PinReason = "first";
  readonly #options: TokenSessionOptions;
  /** The signer takes one call at a time. */
  readonly #calls = new Turnstile();
  #starting: Promise<Signer> | undefined;
  #signer: Signer | undefined;
  #token: TokenFacts | undefined;
  #mechanisms: readonly number[] = [];
  #isOpen = false;
  #isLoggedIn = false;
  #isClosed = false;
  #description = "";

  constructor(options: TokenSessionOptions) {
    this.#options = options;
  }

  get isLoggedIn(): boolean {
    return this.#isLoggedIn;
  }

  get signerPid(): number | undefined {
    return this.#signer?.isAlive === true ? this.#signer.pid : undefined;
  }

  /** CKM_* values of the token. */
  get mechanisms(): readonly number[] {
    return this.#mechanisms;
  }

  /** The module says that it is OpenSC's. */
  get isOpensc(): boolean {
    return /opensc/i.test(this.#description);
  }

  /** The token of this session. Only after `choose`. */
  get token(): TokenFacts {
    if (this.#token === undefined) throw new Error("no token was chosen");
    return this.#token;
  }

  /** What is in the readers now. Starts the signer where there is none. Rejects with `card.*`. */
  async tokens(): Promise<{ readers: number; tokens: readonly TokenFacts[] }> {
    await this.#ensureSigner();
    return this.call("tokens", {}).catch((error) => {
      throw toCardError(error, "list the cards");
    });
  }

  /** The token that this session is for, from now on. */
  async choose(token: TokenFacts): Promise<void> {
    this.#token = token;
    this.#isOpen = false;
    // It was listed a moment ago; a signer that has ended since may number its slots anew.
    if (this.#signer?.isAlive === true) await this.#open(token);
    else await this.ensureOpen();
  }

  /** Rejects with `card.removed` when the token isn't there. */
  async ensureOpen(): Promise<void> {
    await this.#ensureSigner();
    if (this.#isOpen) return;
    const wanted = this.token;
    const token = await this.findAgain();
    if (token === undefined)
      throw new CodedError(
        "card.removed",
        `cannot use ${describeToken(wanted)}: the card is not in a reader`,
        {
          leg: "card",
          hint: "put the card back and try again",
        },
      );
    await this.#open(token);
  }

  async #open(token: TokenFacts): Promise<void> {
    this.#token = token;
    try {
      this.#mechanisms = (await this.call("open", { slot: token.slot })).mechanisms;
    } catch (error) {
      throw toCardError(error, `open ${describeToken(token)}`);
    }
    this.#isOpen = true;
  }

  /** The token as it is now, in whichever reader; undefined where it is out. */
  async findAgain(): Promise<TokenFacts | undefined> {
    const { slot, label, serial, manufacturer, model } = this.token;
    if (this.#isOpen && this.#signer?.isAlive === true) {
      // Where it was last: one slot is asked, not every reader.
      const there = await this.call("token", { slot }).catch((error) => {
        throw toCardError(error, `find ${describeToken(this.token)} again`);
      });
      if (there !== null && there.serial === serial && there.label === label) return there;
    }
    const { tokens } = await this.tokens();
    const same = tokens.filter((token) => token.serial === serial && token.label === label);
    return same.find((token) => token.manufacturer === manufacturer && token.model === model) ?? same[0];
  }

  /** PIN tries left, where the card says it. */
  async triesLeft(): Promise<number | undefined> {
    const token = await this.findAgain();
    if (token === undefined) return undefined;
    return triesLeftOf(token) ?? (await pivTriesLeft(token, this.#options.env));
  }

  async objects(): Promise<readonly ObjectFacts[]> {
    await this.ensureOpen();
    return this.call("objects", {}).catch((error) => {
      throw toCardError(error, `read the keys of ${describeToken(this.token)}`);
    });
  }

  /** A session with the token is open, and the signer has nothing to do: a look costs nobody any time. */
  get isIdle(): boolean {
    return this.#isOpen && this.#signer?.isAlive === true && !this.#calls.isBusy;
  }

  /** Whether the card is in its reader, and has been since the last use; sends nothing to the card. */
  async presence(): Promise<Presence> {
    const signer = this.#signer;
    if (!this.#isOpen || signer?.isAlive !== true) {
      // There is no session that a removal could have ended.
      return { isIn: (await this.findAgain()) !== undefined, isSame: true };
    }
    const { otherMs } = this.#options.deadlines;
    const look = () => signer.call("presence", { slot: this.token.slot }, { deadlineMs: otherMs });
    return this.#calls.run(look).catch((error) => {
      if (error instanceof ModuleFailure) return { isIn: false, isSame: false };
      throw error;
    });
  }

  markLoggedIn(): void {
    this.#isLoggedIn = true;
  }

  /** The card forgot the login, or the session ended: the next use logs in again, for `reason`. */
  markLost(reason: PinReason): void {
    if (this.#isLoggedIn) this.reason = reason;
    this.#isLoggedIn = false;
    if (reason === "card-reinserted") this.#isOpen = false;
  }

  /** One call of the signer. Rejects with `ModuleFailure`, `card.hung`, `card.crashed` or `canceled`. */
  async call<Name extends SignerCallName>(
    name: Name,
    params: SignerCalls[Name]["params"],
    options: Partial<CallOptions> = {},
  ): Promise<SignerCalls[Name]["result"]> {
    const signer = this.#signer;
    if (signer === undefined) throw new Error(`${name}: there is no signer`);
    const deadlineMs = this.#options.deadlines.otherMs;
    try {
      return await this.#calls.run(() => signer.call(name, params, { deadlineMs, ...options }));
    } catch (error) {
      const reason = isVague(error) && (await this.#goesAway()) ? deviceRemoved(name) : error;
      if (isSessionGone(reason)) this.markLost("card-reinserted");
      throw reason;
    }
  }

  /** The PC/SC daemon takes a moment to see that a card was pulled out. */
  async #goesAway(): Promise<boolean> {
    const deadline = Date.now() + REMOVAL_NOTICE_MS;
    while (this.#isOpen && Date.now() < deadline) {
      const look = await this.presence().catch(() => undefined);
      if (look?.isIn === false) return true;
      await delay(REMOVAL_LOOK_MS);
    }
    return false;
  }

  /** Lets go of the card, which resets it. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const started = await this.#starting?.catch(() => undefined);
    await started?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #ensureSigner(): Promise<void> {
    if (this.#signer?.isAlive === true) return;
    await this.#forgetDeadSigner();
    this.#throwIfClosed();
    const { startSigner = SignerProcess.start } = this.#options;
    this.#starting = startSigner(this.#options);
    const signer = await this.#starting;
    this.#signer = signer;
    // close() may have come while the process started.
    if (this.#isClosed) {
      await signer.close();
      this.#throwIfClosed();
    }
    try {
      this.#description = (await this.call("load", { modulePath: this.#options.modulePath })).description;
    } catch (error) {
      await signer.close();
      throw this.#loadError(error);
    }
  }

  async #forgetDeadSigner(): Promise<void> {
    await this.#signer?.closed;
    this.#signer = undefined;
    this.#isOpen = false;
    this.markLost("signer-restarted");
  }

  #throwIfClosed(): void {
    if (this.#isClosed) throw new CodedError("canceled", "the card was closed", { leg: "card" });
  }

  #loadError(error: unknown): unknown {
    if (!(error instanceof ModuleFailure)) return error;
    return new CodedError(
      "card.module-not-found",
      `cannot load the PKCS#11 module ${this.#options.modulePath}: ${error.message}`,
      { leg: "card", hint: "check --pkcs11-provider; OpenSC's module is opensc-pkcs11.so", cause: error },
    );
  }
}

import { CodedError, harmless, isCodedError } from "@farside/protocol";
import type { Identity, PublicKey, SignRequest } from "@farside/ssh";
import type { CardEvents } from "./card-events.ts";
import type { CardPresence } from "./card-presence.ts";
import type { CardDeadlines } from "./deadlines.ts";
import { type CardKey, fittingKeys, type KeyWish, noKeyError, usableKeys } from "./key-choice.ts";
import { needsLogin, type PinSource } from "./pin.ts";
import { PinEntries } from "./pin-entries.ts";
import { isAlreadyLoggedIn, isLoginLost, isSessionGone, toCardError } from "./pkcs11-error.ts";

import { PresenceWatch } from "./presence-watch.ts";
import { checkWish, signOnCard } from "./sign-on-card.ts";
import type { ObjectFacts } from "./signer-messages.ts";
import type { TokenSession } from "./token-session.ts";
import { Turnstile } from "./turnstile.ts";

export interface CardIdentityParts {
  /** Taken over: closed with the identity. */
  readonly session: TokenSession;
  readonly keyWish: KeyWish;
  readonly pinSource: PinSource;
  readonly allowAnyPinPad: boolean;
  readonly deadlines: CardDeadlines;
  /** Signatures that need a card which is out wait for it, where it is watched; else they fail with `card.removed`. */
  readonly waitsForCard: boolean;
  readonly events: CardEvents;
}

/**
 * The keys of one token. The PIN is asked for once and lasts as long as the card keeps the login; after a removal, a
 * reset or a restarted signer it is asked for again, with the reason. A wrong PIN costs one try and is never sent again.
 * Signatures are made one after the other, askers taking turns; a deadline runs only for the one that the card works on.
 */
export class CardIdentity implements Identity {
  readonly kind = "card";
  readonly #parts: CardIdentityParts;
  readonly #session: TokenSession;
  readonly #turnstile: Turnstile;
  readonly #pinEntries: PinEntries;
  #keys: readonly CardKey[] = [];
  readonly #watch: PresenceWatch;
  #closing: Promise<void> | undefined;

  constructor(parts: CardIdentityParts) {
    this.#parts = parts;
    this.#session = parts.session;
    const { events } = parts;
    this.#turnstile = new Turnstile({
      onLongWait: (waiting) => events.onQueue?.({ waiting, token: this.tokenLabel }),
    });
    this.#watch = new PresenceWatch({
      look: () => this.#look(),
      onChange: (presence) => events.onPresence?.({ ...presence, token: this.tokenLabel }),
      onRemoved: () => events.onRemoved?.({ token: this.tokenLabel }),
      onInserted: () => events.onInserted?.({ token: this.tokenLabel }),
    });
    this.#pinEntries = new PinEntries(parts.session, {
      source: parts.pinSource,
      allowAnyPinPad: parts.allowAnyPinPad,
      onPinPad: () => this.#tellWaiting("pin-pad"),
    });
  }

  /** Label of the token, safe to print. */
  get tokenLabel(): string {
    return harmless(this.#session.token.label);
  }

  /** PIN entries that the card accepted so far. */
  get pinEntries(): number {
    return this.#pinEntries.accepted;
  }

  /** The keys, preferred first. */
  get keys(): readonly CardKey[] {
    return this.#keys;
  }

  get presence(): CardPresence {
    return this.#watch.state;
  }

  /** The process that holds the module; undefined while there is none. */
  get signerPid(): number | undefined {
    return this.#session.signerPid;
  }

  /**
   * Reads the keys. Logs in only where `eager`, or where the token shows no key without it. Rejects with `card.no-key`
   * before any PIN where that can be known.
   */
  prepare({ eager, signal }: { eager: boolean; signal?: AbortSignal | undefined }): Promise<void> {
    return this.#turnstile.run(
      async () => {
        const objects = await this.#readKeys();
        const { token } = this.#session;
        const hidesKeys = usableKeys(objects).length === 0 && needsLogin(token);
        if (!needsLogin(token)) this.#watch.note({ type: "login" });
        if (this.#keys.length === 0 && !hidesKeys) throw this.#noKey(objects);
        if (this.#keys.length > 0 && !eager) return;
        await this.#ensureLogin(signal);
        if (this.#keys.length === 0) throw this.#noKey(await this.#session.objects());
      },
      { signal },
    );
  }

  publicKeys(): Promise<readonly PublicKey[]> {
    const keys = this.#keys.map(({ publicKey, alwaysAuthenticate }) =>
      alwaysAuthenticate === true ? { ...publicKey, asksForEachSignature: true } : publicKey,
    );
    return Promise.resolve(keys);
  }

  /**
   * Rejects with `card.*`, or with the signal's reason: an aborted request that waits for its turn, or for the card, never
   * reaches the card; one that the card is working on can't be stopped there, and is only let go of.
   */
  sign({ publicKey, algorithm, data, signal, asker, failsWithoutCard }: SignRequest): Promise<Uint8Array> {
    const sign = () => this.#sign(publicKey, algorithm, data, signal);
    return this.#withCard(sign, { signal, asker, failsWithoutCard });
  }

  ready({ signal, asker }: Parameters<Identity["ready"]>[0]): Promise<void> {
    const logIn = async (): Promise<void> => {
      await this.#lookNow();
      await this.#ensureLogin(signal);
    };
    return this.#withCard(logIn, { signal, asker });
  }

  /** Looks every `intervalMs` whether the card is in, and tells `onRemoved`, `onInserted` and `onPresence`. */
  watch(intervalMs: number): void {
    this.#watch.start(intervalMs);
  }

  /** Lets go of the card, which resets it: nobody else finds it logged in. Who waits for it is let go too. Idempotent. */
  close(): Promise<void> {
    this.#watch[Symbol.dispose]();
    this.#closing ??= this.#session.close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Does `work` in its turn; where the card is out, again once it is in, or rejects with `card.removed`. */
  async #withCard<Result>(
    work: () => Promise<Result>,
    { signal, asker, failsWithoutCard = false }: Pick<SignRequest, "signal" | "asker" | "failsWithoutCard">,
  ): Promise<Result> {
    for (;;) {
      try {
        return await this.#turnstile.run(work, { signal, asker });
      } catch (error) {
        if (!isCodedError(error) || error.code !== "card.removed") throw error;
        this.#noteRemoval();
        if (!this.#parts.waitsForCard || failsWithoutCard || !this.#watch.isRunning) throw error;
        await this.#watch.untilInserted(signal);
      }
    }
  }

  async #sign(
    wanted: PublicKey,
    algorithm: string,
    data: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    const isWanted = ({ publicKey }: CardKey): boolean => Buffer.from(publicKey.blob).equals(wanted.blob);
    if (!this.#keys.some(isWanted))
      throw new CodedError("card.no-key", `the card has no such ${wanted.type} key`, { leg: "card" });
    checkWish(wanted, algorithm, data);
    for (let isSecondTime = false; ; isSecondTime = true) {
      const pin = await this.#ensureLogin(signal);
      const key = this.#keys.find(isWanted);
      if (key === undefined) throw this.#noKey(await this.#session.objects());
      try {
        return await this.#signOnce(key, algorithm, data, pin, signal);
      } catch (error) {
        // Once: the card was reset or changed places since the last signature. Not while it was signing.
        const isStale = isLoginLost(error) || (isSessionGone(error) && (await this.#isBack()));
        if (isLoginLost(error)) this.#session.markLost("card-reset");
        this.#noteLogin();
        if (isSecondTime || !isStale) throw toCardError(error, `sign with ${key.label}`);
      }
    }
  }

  #signOnce(
    key: CardKey,
    algorithm: string,
    data: Uint8Array,
    given: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    return signOnCard({
      ...{ session: this.#session, key, algorithm, data, deadlines: this.#parts.deadlines },
      onWaiting: () => this.#tellWaiting("sign"),
      withPin: (use) =>
        this.#watch.whileIn(signal, (stay) =>
          this.#pinEntries.enter({ reason: "always-authenticate", use, given, signal: stay }),
        ),
    });
  }

  /** The PIN where one was entered just now; undefined where somebody was logged in already. */
  async #ensureLogin(signal: AbortSignal | undefined): Promise<string | undefined> {
    await this.#session.ensureOpen();
    if (this.#session.isLoggedIn || !needsLogin(this.#session.token)) return undefined;
    const isFirst = this.pinEntries === 0;
    const reason = this.#pinEntries.wasRefused ? "wrong-pin" : this.#session.reason;
    const pin = await this.#watch.whileIn(signal, (stay) =>
      this.#pinEntries.enter({ reason, use: (entered) => this.#login(entered), signal: stay }),
    );
    this.#session.markLoggedIn();
    this.#watch.note({ type: "login" });
    await this.#readKeys();
    if (isFirst) this.#warnOfAlwaysAuthenticate();
    const key = this.#keys[0]?.label ?? "";
    this.#parts.events.onLogin?.({ token: this.tokenLabel, key, pinEntries: this.pinEntries });
    return pin;
  }

  async #login(pin: string): Promise<string> {
    const { pinPadMs, otherMs } = this.#parts.deadlines;
    const options = {
      deadlineMs: pin === "" ? pinPadMs : otherMs,
      onWaiting: () => this.#tellWaiting("login"),
    };
    await this.#session.call("login", { pin }, options).catch((error) => {
      if (!isAlreadyLoggedIn(error)) throw error;
    });
    return pin;
  }

  async #readKeys(): Promise<readonly ObjectFacts[]> {
    const objects = await this.#session.objects();
    this.#keys = fittingKeys(objects, this.#parts.keyWish, this.#session.token);
    return objects;
  }

  #noKey(objects: readonly ObjectFacts[]): CodedError {
    return noKeyError(objects, this.#parts.keyWish, this.#session.token);
  }

  #warnOfAlwaysAuthenticate(): void {
    const [key] = this.#keys;
    if (key?.alwaysAuthenticate !== true) return;
    this.#parts.events.onWarning?.({
      message: `each signature with ${key.label} needs the PIN (CKA_ALWAYS_AUTHENTICATE)`,
      hint: "a key in PIV slot 9a needs it once",
    });
  }

  #tellWaiting(operation: "sign" | "login" | "pin-pad"): void {
    this.#parts.events.onWaiting?.({ operation, token: this.tokenLabel });
  }

  async #isBack(): Promise<boolean> {
    return (await this.#session.findAgain().catch(() => undefined)) !== undefined;
  }

  async #look(): Promise<void> {
    if (!this.#turnstile.isBusy) return this.#turnstile.run(() => this.#lookNow());
    // While a person types the PIN the signer has time for a look; a call that is under way will see for itself.
    if (this.#session.isIdle) await this.#lookNow();
  }

  async #lookNow(): Promise<void> {
    const { isIn, isSame } = await this.#session.presence();
    // Out and in again between two looks, where the module tells: the card has forgotten its login all the same.
    if (!isIn || !isSame) this.#noteRemoval();
    if (isIn) this.#watch.note({ type: "inserted", needsPin: needsLogin(this.#session.token) });
    this.#noteLogin();
  }

  #noteRemoval(): void {
    if (this.#watch.isOut) return;
    this.#session.markLost("card-reinserted");
    this.#watch.note({ type: "removed" });
  }

  /** The login may be lost without a removal. */
  #noteLogin(): void {
    if (needsLogin(this.#session.token) && !this.#session.isLoggedIn)
      this.#watch.note({ type: "login-lost" });
  }
}

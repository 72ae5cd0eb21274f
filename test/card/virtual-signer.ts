import { CodedError } from "@farside/protocol";
import {
  ckr,
  keyType,
  ModuleFailure,
  mechanism,
  type ObjectFacts,
  type Signer,
  type SignerCallName,
  type SignerCalls,
  type SignParams,
  type TokenFacts,
  tokenFlag,
} from "@farside/smartcard/testing";
import type { CardKey } from "../lab/card/card-keys.ts";
import { decodeTlv, encodeTlv } from "../lab/card/tlv.ts";
import { VirtualPivCard } from "../lab/card/virtual-piv-card.ts";

const SLOT = "00";
const KEY_ID = Buffer.of(1);
const P256_PARAMS = Buffer.from("06082a8648ce3d030107", "hex");
const OK = 0x9000;

/** A card in a reader that can be pulled out, swapped, reset. */
export class ReaderWithCard {
  readonly card: VirtualPivCard;
  readonly key: CardKey;
  isIn = true;
  /** Grows with every removal: sessions of before are dead. */
  seat = 0;
  /** PINs that came to the card, in order, with the tries that were left before each. */
  readonly sent: { readonly pin: string; readonly triesLeft: number }[] = [];
  /** The next answer of the card is lost: it was pulled out while it worked. */
  losesNextAnswer = false;

  constructor(key: CardKey, pin: string) {
    this.key = key;
    this.card = new VirtualPivCard({ keys: [key], pin, tries: 3 });
  }

  remove(): void {
    if (!this.isIn) return;
    this.isIn = false;
    this.seat += 1;
    this.card.reset();
  }

  insert(): void {
    this.isIn = true;
  }

  /** Another program resets the card; it stays where it is. */
  reset(): void {
    this.card.reset();
  }

  async select(): Promise<void> {
    await this.card.handle(Buffer.from("00a4040009a00000030800001000", "hex"));
  }
}

/** Stands in for the signer process, its module and the PC/SC daemon: PKCS#11's answers, made of a virtual card's own. */
export class VirtualSigner implements Signer {
  readonly pid = undefined;
  readonly closed: Promise<CodedError | undefined>;
  readonly #reader: ReaderWithCard;
  #settleClosed: (reason: CodedError | undefined) => void = () => {};
  #isAlive = true;
  #seat: number | undefined;
  #isLoggedIn = false;
  #isBusy = false;

  constructor(reader: ReaderWithCard) {
    this.#reader = reader;
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  async call<Name extends SignerCallName>(
    name: Name,
    params: SignerCalls[Name]["params"],
  ): Promise<SignerCalls[Name]["result"]> {
    if (this.#isBusy) throw new Error(`${name}: two calls at a time`);
    this.#isBusy = true;
    try {
      return await this.#answer(name, params);
    } finally {
      this.#isBusy = false;
    }
  }

  async #answer<Name extends SignerCallName>(
    name: Name,
    params: SignerCalls[Name]["params"],
  ): Promise<SignerCalls[Name]["result"]> {
    const before = this.#reader.seat;
    await new Promise((resolve) => setImmediate(resolve));
    this.#throwIfDead();
    const [result] = await Promise.allSettled([(async () => this.#handlers[name](params as never))()]);
    this.#throwIfDead();
    if (this.#reader.losesNextAnswer && (name === "login" || name === "sign")) {
      this.#reader.losesNextAnswer = false;
      this.#reader.remove();
    }
    if (before !== this.#reader.seat && name !== "presence") throw failure(ckr.deviceRemoved, name);
    if (result.status === "rejected") throw result.reason;
    return result.value as SignerCalls[Name]["result"];
  }

  /** The module ends its process. */
  crash(): void {
    this.#end(new CodedError("card.crashed", "the virtual signer ended", { leg: "card" }));
  }

  async close(): Promise<void> {
    if (this.#isAlive) this.#reader.card.reset();
    this.#end(undefined);
  }

  readonly #handlers: { [Name in SignerCallName]: (params: SignerCalls[Name]["params"]) => unknown } = {
    load: () => ({ description: "virtual signer 1.0" }),
    tokens: () => ({ readers: 1, tokens: this.#reader.isIn ? [this.#token()] : [] }),
    token: () => (this.#reader.isIn ? this.#token() : null),
    open: async () => {
      if (!this.#reader.isIn) throw failure(ckr.tokenNotPresent, "C_OpenSession");
      this.#seat = this.#reader.seat;
      this.#isLoggedIn = false;
      await this.#reader.select();
      return { mechanisms: [mechanism.ecdsa] };
    },
    objects: () => {
      this.#requireSession();
      return this.#objects();
    },
    login: ({ pin }) => this.#login(pin),
    sign: (params) => this.#sign(params),
    presence: () => {
      const { isIn, seat } = this.#reader;
      return { isIn, isSame: isIn && this.#seat === seat };
    },
  };

  async #login(pin: string): Promise<null> {
    this.#requireSession();
    if (this.#isLoggedIn) throw failure(ckr.userAlreadyLoggedIn, "C_Login");
    const { card, sent } = this.#reader;
    sent.push({ pin, triesLeft: card.triesLeft });
    const data = Buffer.alloc(8, 0xff);
    data.write(pin);
    const status = (
      await card.handle(Buffer.concat([Buffer.from("0020008008", "hex"), data]))
    ).readUInt16BE();
    if (status === 0x6983) throw failure(ckr.pinLocked, "C_Login");
    if (status !== OK) throw failure(card.triesLeft === 0 ? ckr.pinLocked : ckr.pinIncorrect, "C_Login");
    this.#isLoggedIn = true;
    return null;
  }

  async #sign({ input }: SignParams): Promise<Uint8Array> {
    this.#requireSession();
    if (!this.#isLoggedIn) throw failure(ckr.userNotLoggedIn, "C_FindObjects");
    const request = encodeTlv("7c", Buffer.concat([encodeTlv("82"), encodeTlv("81", Buffer.from(input))]));
    const apdu = Buffer.concat([Buffer.from([0, 0x87, 0x11, 0x9a, request.length]), request]);
    const answer = await this.#reader.card.handle(apdu);
    if (answer.readUInt16BE(answer.length - 2) !== OK) {
      // As OpenSC: the whole login goes.
      this.#isLoggedIn = false;
      await this.#reader.select();
      throw failure(ckr.userNotLoggedIn, "C_Sign");
    }
    const der = decodeTlv(decodeTlv(answer.subarray(0, -2)).get(0x7c) ?? Buffer.alloc(0)).get(0x82);
    return rawOf(der ?? Buffer.alloc(0));
  }

  #token(): TokenFacts {
    const { triesLeft } = this.#reader.card;
    const state = triesLeft === 0 ? tokenFlag.pinLocked : triesLeft === 1 ? tokenFlag.pinFinalTry : 0;
    return {
      ...{
        slot: SLOT,
        reader: "virtual",
        label: "virtual",
        manufacturer: "farside",
        model: "v",
        serial: "1",
      },
      flags: tokenFlag.loginRequired | tokenFlag.tokenInitialized | state,
      ...{ minPinLength: 4, maxPinLength: 8 },
    };
  }

  #objects(): readonly ObjectFacts[] {
    const { x = "", y = "" } = this.#reader.key.key.export({ format: "jwk" });
    const point = Buffer.concat([Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
    const key = { id: KEY_ID, label: "key", keyType: keyType.ec, canSign: true };
    const publicKey = { ...key, kind: "public", ecParams: P256_PARAMS, ecPoint: point } as const;
    return this.#isLoggedIn
      ? [publicKey, { ...key, kind: "private", alwaysAuthenticate: false }]
      : [publicKey];
  }

  #requireSession(): void {
    if (this.#seat === this.#reader.seat && this.#reader.isIn) return;
    this.#isLoggedIn = false;
    throw failure(ckr.sessionHandleInvalid, "session");
  }

  #throwIfDead(): void {
    if (!this.#isAlive) throw new CodedError("card.crashed", "the virtual signer ended", { leg: "card" });
  }

  #end(reason: CodedError | undefined): void {
    this.#isAlive = false;
    this.#settleClosed(reason);
  }
}

const failure = (code: number, method: string): ModuleFailure =>
  new ModuleFailure({ code, message: `CKR ${code}`, method });

/** r and s, 32 bytes each, of a DER signature. */
function rawOf(der: Buffer): Uint8Array {
  const parts: Buffer[] = [];
  for (let at = 2; at < der.length; ) {
    const length = der[at + 1] ?? 0;
    const number = der.subarray(at + 2, at + 2 + length);
    parts.push(Buffer.concat([Buffer.alloc(32), number]).subarray(-32));
    at += 2 + length;
  }
  return Buffer.concat(parts);
}

import { constants, createHash, privateEncrypt, timingSafeEqual } from "node:crypto";
import { type CommandApdu, decodeApdu, encodeStatus, statusWord } from "./apdu.ts";
import type { CardKey, SlotName } from "./card-keys.ts";
import { type CardCurve, signDigest } from "./raw-ecdsa.ts";
import { decodeTlv, encodeTlv } from "./tlv.ts";

export interface VirtualPivCardOptions {
  readonly keys: readonly CardKey[];
  readonly pin: string;
  /** Wrong PINs until it locks. */
  readonly tries: number;
}

export interface CardCounters {
  /** VERIFY commands that carried a PIN, right or wrong. */
  verifies: number;
  /** Signatures by slot. */
  signs: Partial<Record<SlotName, number>>;
  apdus: number;
}

/** How soon another delay, or the card's removal, is seen by a signature under way. */
const DELAY_STEP_MS = 20;
const applicationId = Buffer.from("a000000308000010000100", "hex");
const objectIds: Readonly<Record<SlotName, string>> = {
  "9a": "5fc105",
  "9c": "5fc10a",
  "9d": "5fc10b",
  "9e": "5fc101",
};
const algorithmByte = { rsa: 0x07, prime256v1: 0x11, secp384r1: 0x14 } as const;
const hex = (digits: string): Buffer => Buffer.from(digits, "hex");

/** A PIV card (NIST SP 800-73) in software, as far as OpenSC asks: SELECT, GET DATA, VERIFY, GENERAL AUTHENTICATE. */
export class VirtualPivCard {
  readonly counters: CardCounters = { verifies: 0, signs: {}, apdus: 0 };
  triesLeft: number;
  /** How long a signature takes, one that is under way too. */
  signDelayMs = 0;
  readonly #pin: string;
  readonly #maxTries: number;
  readonly #keys: ReadonlyMap<string, CardKey>;
  readonly #objects: ReadonlyMap<string, Buffer>;
  #isSelected = false;
  #isVerified = false;
  /** VERIFY was the last command but GET DATA: what a PIN-always key (9C) asks for. */
  #isFreshlyVerified = false;
  #chain: Buffer[] = [];
  #unread: Buffer | undefined;
  /** How often its power or a reset has ended what it was doing. */
  #resets = 0;

  constructor({ keys, pin, tries }: VirtualPivCardOptions) {
    this.#pin = pin;
    this.#maxTries = tries;
    this.triesLeft = tries;
    this.#keys = new Map(keys.map((key) => [key.slot, key]));
    this.#objects = makeObjects(keys);
  }

  get isVerified(): boolean {
    return this.#isVerified;
  }

  /** Power off, or a warm reset. */
  reset(): void {
    this.#resets += 1;
    this.#isSelected = false;
    this.#isVerified = false;
    this.#isFreshlyVerified = false;
    this.#chain = [];
    this.#unread = undefined;
  }

  async handle(bytes: Buffer): Promise<Buffer> {
    this.counters.apdus += 1;
    const apdu = decodeApdu(bytes);
    const unread = this.#unread;
    this.#unread = undefined;
    if (apdu.ins === 0xc0)
      return unread === undefined
        ? encodeStatus(statusWord.conditionsNotSatisfied)
        : this.#answer(unread, apdu.maxAnswerBytes);
    if (apdu.isChained) {
      this.#chain.push(apdu.data);
      return encodeStatus(statusWord.ok);
    }
    const data = Buffer.concat([...this.#chain, apdu.data]);
    this.#chain = [];
    const isFreshlyVerified = this.#isFreshlyVerified;
    if (apdu.ins !== 0xcb) this.#isFreshlyVerified = false;
    const result = await this.#execute({ ...apdu, data }, isFreshlyVerified);
    return typeof result === "number" ? encodeStatus(result) : this.#answer(result, apdu.maxAnswerBytes);
  }

  async #execute(apdu: CommandApdu, isFreshlyVerified: boolean): Promise<Buffer | number> {
    switch (apdu.ins) {
      case 0xa4:
        return this.#select(apdu);
      case 0xcb:
        return this.#getData(apdu);
      case 0x20:
        return this.#verify(apdu);
      case 0x87:
        return this.#sign(apdu, isFreshlyVerified);
      default:
        return statusWord.unknownInstruction;
    }
  }

  #select({ p1, data }: CommandApdu): Buffer | number {
    if (p1 !== 4) return statusWord.wrongParameters;
    if (data.length < 5 || !applicationId.subarray(0, data.length).equals(data)) return statusWord.notFound;
    this.#isSelected = true;
    const authority = encodeTlv("79", encodeTlv("4f", hex("a000000308")));
    const label = encodeTlv("50", Buffer.from("Lab PIV"));
    return encodeTlv("61", encodeTlv("4f", hex("000010000100")), authority, label);
  }

  #getData({ data }: CommandApdu): Buffer | number {
    if (!this.#isSelected) return statusWord.conditionsNotSatisfied;
    if (data[0] !== 0x5c) return statusWord.wrongData;
    const id = data.subarray(2, 2 + (data[1] ?? 0)).toString("hex");
    return this.#objects.get(id) ?? statusWord.notFound;
  }

  #verify({ p1, p2, data }: CommandApdu): number {
    if (p2 !== 0x80) return statusWord.referenceNotFound;
    if (p1 === 0xff) {
      this.#isVerified = false;
      return statusWord.ok;
    }
    if (data.length === 0) return this.#isVerified ? statusWord.ok : this.#refusedStatus();
    this.counters.verifies += 1;
    if (this.triesLeft === 0) return this.#refusedStatus();
    if (data.length !== 8) return statusWord.wrongData;
    const expected = Buffer.alloc(8, 0xff);
    expected.write(this.#pin);
    this.#isVerified = timingSafeEqual(data, expected);
    this.#isFreshlyVerified = this.#isVerified;
    this.triesLeft = this.#isVerified ? this.#maxTries : this.triesLeft - 1;
    return this.#isVerified ? statusWord.ok : this.#refusedStatus();
  }

  #refusedStatus(): number {
    return this.triesLeft === 0 ? statusWord.pinBlocked : statusWord.triesLeft | this.triesLeft;
  }

  async #sign({ p1, p2, data }: CommandApdu, isFreshlyVerified: boolean): Promise<Buffer | number> {
    const entry = this.#keys.get(p2.toString(16));
    if (entry === undefined) return statusWord.referenceNotFound;
    if (entry.slot !== "9e" && !this.#isVerified) return statusWord.securityStatusNotSatisfied;
    if (entry.slot === "9c" && !isFreshlyVerified) return statusWord.securityStatusNotSatisfied;
    const challenge = decodeTlv(decodeTlv(data).get(0x7c) ?? Buffer.alloc(0)).get(0x81);
    if (challenge === undefined) return statusWord.wrongData;
    const signature = signChallenge(entry, p1, challenge);
    if (typeof signature === "number") return signature;
    if (!(await this.#isGivenTime())) return statusWord.conditionsNotSatisfied;
    this.counters.signs[entry.slot] = (this.counters.signs[entry.slot] ?? 0) + 1;
    return encodeTlv("7c", encodeTlv("82", signature));
  }

  /** Resolves after the delay; with false where the card is taken out meanwhile: nothing was signed. */
  async #isGivenTime(): Promise<boolean> {
    const [startedAt, resets] = [performance.now(), this.#resets];
    while (this.#resets === resets) {
      const left = startedAt + this.signDelayMs - performance.now();
      if (left <= 0) return true;
      await new Promise((resolve) => setTimeout(resolve, Math.min(left, DELAY_STEP_MS)));
    }
    return false;
  }

  /** `data` and "ok", or its first part and how much is left for GET RESPONSE. */
  #answer(data: Buffer, maxBytes: number): Buffer {
    if (data.length <= maxBytes) return Buffer.concat([data, encodeStatus(statusWord.ok)]);
    this.#unread = data.subarray(maxBytes);
    const left = Math.min(this.#unread.length, 256) & 0xff;
    return Buffer.concat([data.subarray(0, maxBytes), encodeStatus(0x6100 | left)]);
  }
}

function signChallenge({ key }: CardKey, algorithm: number, challenge: Buffer): Buffer | number {
  if (key.asymmetricKeyType === "rsa") {
    if (algorithm !== algorithmByte.rsa || challenge.length !== 256) return statusWord.wrongData;
    return privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, challenge);
  }
  const curve = key.asymmetricKeyDetails?.namedCurve as CardCurve;
  if (algorithm !== algorithmByte[curve]) return statusWord.wrongParameters;
  return signDigest(curve, Buffer.from(key.export({ format: "jwk" }).d ?? "", "base64url"), challenge);
}

function makeObjects(keys: readonly CardKey[]): Map<string, Buffer> {
  const seed = keys[0]?.certificate ?? Buffer.alloc(0);
  const guid = createHash("sha256").update(seed).digest().subarray(0, 16);
  const agencyCode = hex("d4e739da739ced39ce739d836858210842108421c84210c3eb");
  const holder = encodeTlv(
    "53",
    encodeTlv("30", agencyCode),
    encodeTlv("34", guid),
    encodeTlv("35", Buffer.from("20401231")),
    encodeTlv("3e"),
    encodeTlv("fe"),
  );
  const capabilities = encodeTlv(
    "53",
    encodeTlv("f0", hex("a000000116db00000000000000000000000000000000")),
    ...["f1", "f2"].map((tag) => encodeTlv(tag, hex("21"))),
    encodeTlv("f3"),
    encodeTlv("f4", hex("00")),
    encodeTlv("f5", hex("10")),
    ...["f6", "f7", "fa", "fb", "fc", "fd", "fe"].map((tag) => encodeTlv(tag)),
  );
  // PIN policy: the application PIN and nothing else.
  const discovery = encodeTlv("7e", encodeTlv("4f", applicationId), encodeTlv("5f2f", hex("4000")));
  const objects = new Map([
    ["7e", discovery],
    ["5fc102", holder],
    ["5fc107", capabilities],
  ]);
  for (const { slot, certificate } of keys) {
    const isPlain = encodeTlv("71", hex("00"));
    objects.set(objectIds[slot], encodeTlv("53", encodeTlv("70", certificate), isPlain, encodeTlv("fe")));
  }
  return objects;
}

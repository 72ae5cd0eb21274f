import pkcs11js from "pkcs11js";
import { attribute, ckr, objectClass, slotFlag, tokenFlag, user } from "./pkcs11.ts";
import type { ObjectFacts, Presence, SignParams, TokenFacts } from "./signer-messages.ts";

type Handle = pkcs11js.Handle;

const MAX_OBJECTS = 256;
const FIND_BATCH = 32;
const kinds = [
  [objectClass.publicKey, "public"],
  [objectClass.certificate, "certificate"],
  [objectClass.privateKey, "private"],
] as const;

/**
 * A loaded PKCS#11 module and one session of it, with synchronous calls: pkcs11js's asynchronous ones don't pin their
 * buffers, and one session can't do two things at a time. Every method may block for as long as the card likes, throw
 * `Pkcs11Error`, or never come back: only the signer process has one.
 */
export class SignerModule {
  readonly description: string;
  readonly #module = new pkcs11js.PKCS11();
  #session: Handle | undefined;
  #slot: Handle | undefined;

  constructor(path: string) {
    this.#module.load(path);
    this.#initialize();
    const { libraryDescription, libraryVersion: version } = this.#module.C_GetInfo();
    this.description = `${clean(libraryDescription)} ${version.major}.${version.minor}`;
  }

  tokens(): { readers: number; tokens: TokenFacts[] } {
    const readers = this.#module.C_GetSlotList(false).length;
    const tokens = this.#module.C_GetSlotList(true).flatMap((slot) => {
      const facts = this.#token(slot);
      return facts !== undefined && (facts.flags & tokenFlag.tokenInitialized) !== 0 ? [facts] : [];
    });
    return { readers, tokens };
  }

  token(slot: string): TokenFacts | undefined {
    return this.#token(Buffer.from(slot, "hex"));
  }

  presence(slot: string): Presence {
    // Some modules look at their readers only when they are asked for events.
    this.#slotEvent();
    const handle = Buffer.from(slot, "hex");
    const isIn = (this.#module.C_GetSlotInfo(handle).flags & slotFlag.tokenPresent) !== 0;
    return { isIn, isSame: isIn && this.#isSessionAlive() };
  }

  open(slot: string): { mechanisms: number[] } {
    this.#closeSession();
    const handle = Buffer.from(slot, "hex");
    this.#session = this.#module.C_OpenSession(handle, pkcs11js.CKF_SERIAL_SESSION);
    this.#slot = handle;
    return { mechanisms: this.#module.C_GetMechanismList(handle) };
  }

  login(pin: string): void {
    this.#module.C_Login(this.#openSession(), user.normal, pin);
  }

  objects(): ObjectFacts[] {
    return kinds.flatMap(([value, kind]) =>
      this.#find([{ type: attribute.class, value }]).map((object) => this.#facts(object, kind)),
    );
  }

  sign({ keyId, keyType, mechanism, input, outputBytes, contextPin }: SignParams): Uint8Array {
    const session = this.#openSession();
    const [key] = this.#find([
      { type: attribute.class, value: objectClass.privateKey },
      { type: attribute.id, value: Buffer.from(keyId) },
      { type: attribute.keyType, value: keyType },
    ]);
    // A private key is invisible without a login.
    if (key === undefined) throw new MissingKey();
    try {
      this.#module.C_SignInit(session, { mechanism }, key);
      if (contextPin !== undefined) this.#module.C_Login(session, user.contextSpecific, contextPin);
      return this.#module.C_Sign(session, Buffer.from(input), Buffer.alloc(outputBytes));
    } catch (error) {
      // The operation stays active in this session, and the next one would fail with CKR_OPERATION_ACTIVE. A login
      // lives as long as any session is open: the new one comes before the old one goes.
      this.#renewSession();
      throw error;
    }
  }

  end(): void {
    this.#closeSession();
    this.#module.C_Finalize();
    this.#module.close();
  }

  #initialize(): void {
    try {
      this.#module.C_Initialize({ flags: pkcs11js.CKF_OS_LOCKING_OK });
    } catch (error) {
      const code = codeOf(error);
      if (code === ckr.cantLock) this.#module.C_Initialize();
      else if (code !== ckr.alreadyInitialized) throw error;
    }
  }

  #token(slot: Handle): TokenFacts | undefined {
    try {
      const info = this.#module.C_GetTokenInfo(slot);
      return {
        slot: slot.toString("hex"),
        reader: clean(this.#module.C_GetSlotInfo(slot).slotDescription),
        label: clean(info.label),
        manufacturer: clean(info.manufacturerID),
        model: clean(info.model),
        serial: clean(info.serialNumber),
        flags: info.flags,
        minPinLength: info.minPinLen,
        maxPinLength: info.maxPinLen,
      };
    } catch (error) {
      // A card that went between two calls, or one that the module can't read, doesn't hide the others.
      if (codeOf(error) === undefined) throw error;
      return undefined;
    }
  }

  #facts(object: Handle, kind: ObjectFacts["kind"]): ObjectFacts {
    const read = (type: number): Buffer | undefined => this.#attribute(object, type);
    const id = read(attribute.id) ?? Buffer.alloc(0);
    const label = read(attribute.label)?.toString("utf8") ?? "";
    if (kind === "certificate") return { kind, id, label, certificate: read(attribute.value) };
    const keyType = read(attribute.keyType)?.readUInt32LE(0);
    if (kind === "private") {
      return {
        ...{ kind, id, label, keyType },
        canSign: asBoolean(read(attribute.sign)),
        alwaysAuthenticate: asBoolean(read(attribute.alwaysAuthenticate)),
      };
    }
    return {
      ...{ kind, id, label, keyType },
      modulus: read(attribute.modulus),
      publicExponent: read(attribute.publicExponent),
      ecParams: read(attribute.ecParams),
      ecPoint: read(attribute.ecPoint),
      canSign: asBoolean(read(attribute.verify)),
    };
  }

  #attribute(object: Handle, type: number): Buffer | undefined {
    try {
      const [result] = this.#module.C_GetAttributeValue(this.#openSession(), object, [{ type }]);
      return result?.value === undefined || result.value.length === 0 ? undefined : result.value;
    } catch (error) {
      if (codeOf(error) === undefined) throw error;
      return undefined;
    }
  }

  #find(template: pkcs11js.Template): Handle[] {
    const session = this.#openSession();
    this.#module.C_FindObjectsInit(session, template);
    try {
      const found: Handle[] = [];
      while (found.length < MAX_OBJECTS) {
        const batch = this.#module.C_FindObjects(session, FIND_BATCH);
        if (batch.length === 0) break;
        found.push(...batch);
      }
      return found;
    } finally {
      this.#module.C_FindObjectsFinal(session);
    }
  }

  #openSession(): Handle {
    if (this.#session === undefined) throw new Error("no session is open");
    return this.#session;
  }

  #renewSession(): void {
    const old = this.#session;
    if (old === undefined || this.#slot === undefined) return;
    try {
      this.#session = this.#module.C_OpenSession(this.#slot, pkcs11js.CKF_SERIAL_SESSION);
      this.#module.C_CloseSession(old);
    } catch {
      // The card is gone; the next call says so.
    }
  }

  /** What the event is of is not asked: some modules miss removals, so that the slot itself is looked at in any case. */
  #slotEvent(): void {
    try {
      this.#module.C_WaitForSlotEvent(pkcs11js.CKF_DONT_BLOCK);
    } catch (error) {
      // There is none, or the module has no events.
      if (codeOf(error) === undefined) throw error;
    }
  }

  #isSessionAlive(): boolean {
    const session = this.#session;
    if (session === undefined) return false;
    try {
      if (/opensc/i.test(this.description)) {
        // Its C_GetSessionInfo asks the card. Where that has just gone, OpenSC 0.23 keeps a lock and hangs at the next look.
        this.#module.C_FindObjectsInit(session, [{ type: attribute.class, value: objectClass.publicKey }]);
        this.#module.C_FindObjectsFinal(session);
      } else this.#module.C_GetSessionInfo(session);
      return true;
    } catch (error) {
      if (codeOf(error) === undefined) throw error;
      return false;
    }
  }

  #closeSession(): void {
    const session = this.#session;
    this.#session = undefined;
    try {
      if (session !== undefined) this.#module.C_CloseSession(session);
    } catch {
      // Dead sessions of a removed card can't be closed and needn't be.
    }
  }
}

/** The private key of a sign call can't be seen: nobody is logged in, or the token lost it. */
export class MissingKey extends Error {
  readonly code = ckr.userNotLoggedIn;
  readonly method = "C_FindObjects";

  constructor() {
    super("CKR_USER_NOT_LOGGED_IN");
  }
}

/** CKR_* value of an error of pkcs11js; some of its functions only say it in the message (`CKR_X:145`). */
export function codeOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("code" in error && typeof error.code === "number" && error.code !== 0) return error.code;
  const inMessage = /CKR_\w+:(\d+)/.exec(error.message)?.[1];
  return inMessage === undefined ? undefined : Number(inMessage);
}

const clean = (text: string): string => text.replaceAll("\0", "").trim();
const asBoolean = (value: Buffer | undefined): boolean | undefined =>
  value === undefined ? undefined : value[0] !== 0;

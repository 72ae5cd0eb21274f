/** What the signer process is asked and what it answers: plain data over Node's IPC channel, one call at a time. */

/** A token in a reader, as the module describes it. All text is untrusted. */
export interface TokenFacts {
  /** The slot's handle, hexadecimal. */
  readonly slot: string;
  readonly reader: string;
  readonly label: string;
  readonly manufacturer: string;
  readonly model: string;
  readonly serial: string;
  /** CKF_* of CK_TOKEN_INFO. */
  readonly flags: number;
  readonly minPinLength: number;
  readonly maxPinLength: number;
}

/** A public key, certificate or private key on a token; attributes that the module doesn't give are left out. */
export interface ObjectFacts {
  readonly kind: "public" | "certificate" | "private";
  readonly id: Uint8Array;
  readonly label: string;
  readonly keyType?: number | undefined;
  readonly modulus?: Uint8Array | undefined;
  readonly publicExponent?: Uint8Array | undefined;
  readonly ecParams?: Uint8Array | undefined;
  readonly ecPoint?: Uint8Array | undefined;
  /** X.509, DER. */
  readonly certificate?: Uint8Array | undefined;
  /** CKA_SIGN of a private key, CKA_VERIFY of a public one. */
  readonly canSign?: boolean | undefined;
  readonly alwaysAuthenticate?: boolean | undefined;
}

export interface SignParams {
  readonly keyId: Uint8Array;
  readonly keyType: number;
  readonly mechanism: number;
  readonly input: Uint8Array;
  /** Room for the signature. */
  readonly outputBytes: number;
  /** For a CKA_ALWAYS_AUTHENTICATE key: the PIN, used for this one signature. */
  readonly contextPin?: string | undefined;
}

/** Every call of the signer: what it takes and what it gives. */
export interface SignerCalls {
  /** Loads and initialises the module. */
  load: { params: { modulePath: string }; result: { description: string } };
  tokens: { params: Record<string, never>; result: { readers: number; tokens: readonly TokenFacts[] } };
  /** The token in one slot as it is now; null where there is none. */
  token: { params: { slot: string }; result: TokenFacts | null };
  /** Opens a session; one that is open is closed. */
  open: { params: { slot: string }; result: { mechanisms: readonly number[] } };
  objects: { params: Record<string, never>; result: readonly ObjectFacts[] };
  login: { params: { pin: string }; result: null };
  sign: { params: SignParams; result: Uint8Array };
  /** Looks at the reader and at the open session; sends nothing to the card. */
  presence: { params: { slot: string }; result: Presence };
}

export interface Presence {
  /** A card is in the slot. */
  readonly isIn: boolean;
  /** The session that was opened lives: the card was not out meanwhile, not even for a moment. */
  readonly isSame: boolean;
}
export type SignerCallName = keyof SignerCalls;

export interface SignerRequest<Name extends SignerCallName = SignerCallName> {
  readonly id: number;
  readonly name: Name;
  readonly params: SignerCalls[Name]["params"];
}

/** Why a call failed. `code` is a CKR_* value; absent where the failure isn't PKCS#11's (dlopen). */
export interface SignerFailure {
  readonly code?: number | undefined;
  readonly message: string;
  /** The C_* function, or "load". */
  readonly method: string;
}

export type SignerAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly failure: SignerFailure }
  | { readonly ready: true };

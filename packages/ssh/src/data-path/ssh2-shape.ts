import type { EventEmitter } from "node:events";
import type { Client } from "ssh2";

/**
 * What the data path uses of ssh2 1.17.0 beneath its documented interface. `shapeProblem` looks at all of it before a
 * connection is touched, and a test pins the version and the sources, so that a change of ssh2 is seen by us first.
 */
export interface Ssh2Client extends EventEmitter {
  readonly _protocol: Ssh2Protocol;
  /** What it is connected by. */
  readonly _sock: unknown;
  /** Tells the keepalive that the server is alive. */
  readonly _resetKA: () => void;
}

/** Returns undefined to go on, false when another decipher took over, a number when the connection is beyond use. */
export type OnPayload = (payload: Uint8Array) => undefined | false | number;

export interface Ssh2Protocol {
  readonly _server: boolean;
  readonly _authenticated: boolean;
  /** Gone once the protocol is beyond use. */
  readonly _destruct: unknown;
  /** Our KEXINIT, while a key exchange is under way. */
  readonly _kexinit: unknown;
  readonly _packetRW: { read: object; write: { readonly allocStart: number } };
  /** Takes one payload outside a key exchange; within one, the decipher has another. */
  readonly _onPayload: OnPayload;
  _onWrite: (bytes: Uint8Array) => void;
  /** Both are replaced at the end of every key exchange. */
  _cipher: Ssh2Cipher;
  _decipher: Ssh2Decipher;

  rekey(): void;
  disconnect(reason: number): void;
  channelWindowAdjust(recipient: number, bytes: number): void;
  channelEOF(recipient: number): void;
  channelClose(recipient: number): void;
  channelFailure(recipient: number): void;
  directTcpip(
    sender: number,
    window: number,
    maxPacket: number,
    target: { srcIP: string; srcPort: number; dstIP: string; dstPort: number },
  ): void;
  openssh_directStreamLocal(
    sender: number,
    window: number,
    maxPacket: number,
    target: { socketPath: string },
  ): void;
}

export interface Ssh2Cipher {
  outSeqno: number;
  _onWrite: (bytes: Uint8Array) => void;
  /** A packet with length, padding length and padding filled in; the payload goes to offset 5. */
  allocPacket(payloadLength: number): Buffer;
  encrypt(packet: Buffer): void;
  free(): void;
}

export interface Ssh2Decipher {
  inSeqno: number;
  _onPayload: OnPayload;
  /** Undefined when it took everything; else where it stopped. It keeps views of `data` for a packet that is not whole. */
  decrypt(data: Uint8Array, start: number, end: number): number | undefined;
  free(): void;
}

/** The key material of ssh2's own AES-GCM classes (not of those that need its native addon, which keep it to themselves). */
export interface GcmKeys {
  readonly name: "aes-128-gcm" | "aes-256-gcm";
  readonly key: Buffer;
  /** Fixed field of 4 bytes, invocation counter of 8 (RFC 5647, 7.1): the next packet's. */
  readonly iv: Buffer;
}

/** The one problem that passes. */
export const keyExchangeUnderWay = "a key exchange is under way";

const protocolMethods = [
  "rekey",
  "disconnect",
  "channelWindowAdjust",
  "channelEOF",
  "channelClose",
  "channelFailure",
  "directTcpip",
  "openssh_directStreamLocal",
  "_onPayload",
  "_onWrite",
] as const satisfies readonly (keyof Ssh2Protocol)[];

/** What of `client` is not as the data path needs it, or undefined. `client` must be logged in. */
export function shapeProblem(client: Client): string | undefined {
  const { _protocol: protocol, _resetKA } = client as unknown as Partial<Ssh2Client>;
  if (typeof protocol !== "object" || protocol === null) return "the client has no protocol";
  if (typeof _resetKA !== "function") return "the client has no _resetKA";
  for (const name of protocolMethods)
    if (typeof protocol[name] !== "function") return `the protocol has no ${name}`;
  if (protocol._server !== false) return "the protocol is not a client's";
  if (protocol._authenticated !== true) return "the client is not logged in";
  if (typeof protocol._destruct !== "function") return "the connection is closed";
  if (!Object.hasOwn(protocol, "_kexinit")) return "the protocol has no _kexinit";
  for (const name of ["_cipher", "_decipher", "_onWrite"] as const) {
    const property = Object.getOwnPropertyDescriptor(protocol, name);
    if (property?.configurable !== true || property.writable !== true)
      return `the protocol's ${name} is no plain property`;
  }
  // Within one, packets are laid out otherwise.
  if (protocol._kexinit !== undefined) return keyExchangeUnderWay;
  const { read, write } = protocol._packetRW ?? {};
  if (typeof read !== "object" || read === null || "_zlib" in read) return "incoming packets are compressed";
  if (typeof write !== "object" || write === null || "_zlib" in write || write.allocStart !== 5)
    return "outgoing packets are compressed";
  return cipherProblem(protocol._cipher) ?? decipherProblem(protocol._decipher);
}

/** Also asked after every key exchange, of what it brought. */
export function cipherProblem(cipher: Partial<Ssh2Cipher> | undefined): string | undefined {
  const isAsExpected =
    typeof cipher === "object" &&
    cipher !== null &&
    typeof cipher.outSeqno === "number" &&
    typeof cipher._onWrite === "function" &&
    typeof cipher.allocPacket === "function" &&
    typeof cipher.encrypt === "function" &&
    typeof cipher.free === "function";
  return isAsExpected ? undefined : "ssh2's cipher has another shape";
}

/** As `cipherProblem`. */
export function decipherProblem(decipher: Partial<Ssh2Decipher> | undefined): string | undefined {
  const isAsExpected =
    typeof decipher === "object" &&
    decipher !== null &&
    typeof decipher.inSeqno === "number" &&
    typeof decipher._onPayload === "function" &&
    typeof decipher.decrypt === "function" &&
    typeof decipher.free === "function";
  return isAsExpected ? undefined : "ssh2's decipher has another shape";
}

/** The keys of a cipher that is AES-GCM in JavaScript; undefined for every other one. */
export function gcmKeysOfCipher(cipher: object): GcmKeys | undefined {
  const { _encSSLName: name, _encKey: key, _encIV: iv } = cipher as Record<string, unknown>;
  return gcmKeys(name, key, iv);
}

/** The keys of a decipher that is AES-GCM in JavaScript and between two packets; undefined for every other one. */
export function gcmKeysOfDecipher(decipher: object): GcmKeys | undefined {
  const {
    _decipherSSLName: name,
    _decipherKey: key,
    _decipherIV: iv,
    _lenBytes,
  } = decipher as Record<string, unknown>;
  return _lenBytes === 0 ? gcmKeys(name, key, iv) : undefined;
}

/** Whether the keys of `decipher` can be taken as soon as it is between two packets. */
export function isGcmInJavaScript(decipher: object): boolean {
  return gcmKeysOfDecipher({ ...decipher, _lenBytes: 0 }) !== undefined;
}

function gcmKeys(name: unknown, key: unknown, iv: unknown): GcmKeys | undefined {
  if (name !== "aes-128-gcm" && name !== "aes-256-gcm") return undefined;
  if (!Buffer.isBuffer(key) || key.length !== (name === "aes-128-gcm" ? 16 : 32)) return undefined;
  if (!Buffer.isBuffer(iv) || iv.length !== 12) return undefined;
  return { name, key, iv: Buffer.from(iv) };
}

import type { Duplex } from "node:stream";
import type { KeyExchangeProof } from "./kex-proof.ts";
import { WireReader } from "./wire.ts";

/** What a server may send before it is encrypted. Real ones stay far below: no greeting, four packets, 6 KiB. */
const maxGreetingBytes = 16 * 1024;
const maxPacketBytes = 35_000;
const maxPackets = 64;

const message = { kexInit: 20, newKeys: 21, kexReply: 31 } as const;

/** The algorithms that the server named in its KEXINIT (RFC 4253, 7.1). */
export interface ServerOffer {
  readonly kex: readonly string[];
  readonly hostKey: readonly string[];
  readonly cipher: readonly string[];
  readonly mac: readonly string[];
}

/**
 * Reads along with the first key exchange, which is not encrypted, and keeps what the server proved in it. ssh2 has no
 * public way to ask for it. It only listens: the bytes reach ssh2 as they are.
 */
export class KexTap {
  /** The server's identification line without its line end, or undefined before it came. */
  ident: string | undefined;
  /** The last line before it, raw: an sshd that takes nobody says why there. */
  greeting = "";
  offer: ServerOffer | undefined;
  /** Set before ssh2 sees the packet that it came in; fixed once the server has sent NEWKEYS. */
  proof: KeyExchangeProof | undefined;

  readonly #stream: Duplex;
  readonly #onViolation: (what: string) => void;
  #pending: Buffer = Buffer.alloc(0);
  #greetingBytes = 0;
  #packets = 0;

  /**
   * `stream` must be paused and must not have delivered data. `onViolation` is called at most once, with what the
   * server overdid, when more is sent than a key exchange needs.
   */
  constructor(stream: Duplex, onViolation: (what: string) => void) {
    this.#stream = stream;
    this.#onViolation = onViolation;
    stream.on("data", this.#read);
  }

  /** Stops listening; what was captured stays. Idempotent. */
  stop(): void {
    this.#stream.off("data", this.#read);
    this.#pending = Buffer.alloc(0);
  }

  readonly #read = (chunk: Buffer) => {
    let rest = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (this.ident === undefined) {
      const lineEnd = rest.indexOf(0x0a);
      const length = lineEnd === -1 ? rest.length : lineEnd + 1;
      if (this.#greetingBytes + length > maxGreetingBytes)
        return this.#violation(`more than ${maxGreetingBytes} bytes before its identification`);
      if (lineEnd === -1) return this.#keep(rest);
      this.#greetingBytes += length;
      const line = rest.toString("latin1", 0, lineEnd).replace(/\r$/u, "");
      rest = rest.subarray(length);
      if (line.startsWith("SSH-")) this.ident = line;
      else this.greeting = line;
    }
    while (rest.length >= 5) {
      const packetLength = rest.readUInt32BE();
      if (packetLength > maxPacketBytes) return this.#violation(`a packet of ${packetLength} bytes`);
      if (rest.length < 4 + packetLength) break;
      this.#packets += 1;
      if (this.#packets > maxPackets) return this.#violation(`more than ${maxPackets} packets`);
      const payload = rest.subarray(5, Math.max(5, 4 + packetLength - rest.readUInt8(4)));
      rest = rest.subarray(4 + packetLength);
      if (payload[0] === message.newKeys) return this.stop();
      this.#packet(payload);
    }
    this.#keep(rest);
  };

  #packet(payload: Buffer): void {
    switch (payload[0]) {
      case message.kexInit:
        this.offer ??= parseOffer(payload);
        return;
      case message.kexReply:
        this.proof = parseReply(payload) ?? this.proof;
    }
  }

  #keep(rest: Buffer): void {
    // A copy: the chunk is ssh2's to decrypt in place.
    this.#pending = Buffer.from(rest);
  }

  #violation(what: string): void {
    this.stop();
    this.#onViolation(what);
  }
}

/** K_S, the server's ephemeral key and its signature; undefined for what is something else. */
function parseReply(payload: Buffer): KeyExchangeProof | undefined {
  try {
    const reader = new WireReader(payload.subarray(1));
    const hostKey = Buffer.from(reader.string());
    reader.string();
    const signature = Buffer.from(reader.string());
    reader.end();
    return { hostKey, signature };
  } catch {
    return undefined;
  }
}

function parseOffer(payload: Buffer): ServerOffer | undefined {
  try {
    const reader = new WireReader(payload.subarray(17));
    const list = () => reader.name().split(",");
    const kex = list();
    const hostKey = list();
    list();
    const cipher = list();
    list();
    return { kex, hostKey, cipher, mac: list() };
  } catch {
    return undefined;
  }
}

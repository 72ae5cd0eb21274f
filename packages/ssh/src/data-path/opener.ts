import { GcmOpener } from "./gcm-opener.ts";
import { Ssh2Opener } from "./ssh2-opener.ts";
import { decipherProblem, gcmKeysOfDecipher, type OnPayload, type Ssh2Decipher } from "./ssh2-shape.ts";

/** Takes the payload at `bytes[from..to)`; true ends the run at once (other keys, or the end of the connection). */
export type PayloadSink = (bytes: Buffer, from: number, to: number) => boolean;

/** Turns what the server sent into payloads, and is what ssh2 has for a decipher meanwhile. */
export interface Opener {
  /** Sequence number of the next packet; ssh2 resets it in a strict key exchange and hands it to the next decipher. */
  inSeqno: number;
  /** Where ssh2 wants payloads; its key exchange replaces it for its duration. */
  _onPayload: OnPayload;
  /** Longest CHANNEL_DATA payload that it can open. */
  readonly maxPayload: number;
  /** Opens the whole packets in `ring[start..end)` and returns where it stopped. Throws on a packet that is not genuine. */
  run(ring: Buffer, start: number, end: number, sink: PayloadSink): number;
  free(): void;
  decrypt(): never;
}

/** The opener for a decipher that ssh2 made: our own for AES-GCM in JavaScript, else one that drives ssh2's. */
export function openerFor(decipher: Ssh2Decipher): Opener {
  const problem = decipherProblem(decipher);
  if (problem !== undefined) throw new Error(problem);
  const keys = gcmKeysOfDecipher(decipher);
  if (keys === undefined) return new Ssh2Opener(decipher);
  return new GcmOpener(keys, decipher.inSeqno, decipher._onPayload);
}

/** The opener that `opener` can be replaced with now that it is between two packets; mostly itself. */
export function betterOpener(opener: Opener): Opener {
  if (!(opener instanceof Ssh2Opener) || gcmKeysOfDecipher(opener.decipher) === undefined) return opener;
  const better = openerFor(opener.decipher);
  better._onPayload = opener._onPayload;
  return better;
}

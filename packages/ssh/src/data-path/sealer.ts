import { GcmSealer } from "./gcm-sealer.ts";
import type { Outbox } from "./outbox.ts";
import { Ssh2Sealer } from "./ssh2-sealer.ts";
import { cipherProblem, gcmKeysOfCipher, type Ssh2Cipher } from "./ssh2-shape.ts";

/** Bytes before and after the payload given to `sealData` that it may write over. */
export const HEAD_ROOM = 16;
export const TAIL_ROOM = 32;

/** Turns payloads into packets in the outbox, and is what ssh2 has for a cipher meanwhile. */
export interface Sealer extends Ssh2Cipher {
  /**
   * Seals one CHANNEL_DATA of `bytes[from..to)`. `HEAD_ROOM` bytes before it and `TAIL_ROOM` bytes after it must be
   * there; those before are written over, those after are as before when it returns.
   */
  sealData(recipient: number, bytes: Buffer, from: number, to: number): void;
}

/** The sealer for a cipher that ssh2 made. `onMessage` gets the type of each message of ssh2's before it is sealed. */
export function sealerFor(cipher: Ssh2Cipher, outbox: Outbox, onMessage: (type: number) => void): Sealer {
  const problem = cipherProblem(cipher);
  if (problem !== undefined) throw new Error(problem);
  const keys = gcmKeysOfCipher(cipher);
  return keys === undefined
    ? new Ssh2Sealer(cipher, outbox, onMessage)
    : new GcmSealer(keys, cipher.outSeqno, outbox, onMessage);
}

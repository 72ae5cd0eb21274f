import { WireReader } from "./wire.ts";

/** The key type that a public key blob names first; throws `RangeError` where there is none. */
export function keyTypeOf(blob: Uint8Array): string {
  return new WireReader(blob).name();
}

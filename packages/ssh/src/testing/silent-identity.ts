import type { Identity } from "../identity.ts";
import type { KeyPair } from "./key-pair.ts";

/** Rejects when the signal aborts; the wait of somebody who never answers. */
export function rejectedBy(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason));
  });
}

/** An identity that records what it is asked for. */
export function silentIdentity(
  keys: readonly KeyPair[] = [],
  sign: Identity["sign"] = () => Promise.reject(new Error("nobody should sign")),
): Identity & { readonly calls: string[] } {
  const calls: string[] = [];
  return {
    kind: "delegated",
    calls,
    publicKeys: async () => {
      calls.push("publicKeys");
      return keys.map(({ publicKey }) => publicKey);
    },
    ready: async () => {},
    sign: (request) => {
      calls.push("sign");
      return sign(request);
    },
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

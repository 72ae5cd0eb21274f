import type { Identity, PublicKey } from "@farside/ssh";

/** An identity that knows which of its keys was used last. */
export interface RememberingIdentity extends Identity {
  /** `keys` with the one that made the last signature in front. */
  lastUsedFirst(keys: readonly PublicKey[]): PublicKey[];
}

/** `identity`, which it borrows: closing the result does nothing. */
export function rememberKey(identity: Identity): RememberingIdentity {
  let used: Uint8Array | undefined;
  const close = async () => {};
  return {
    kind: identity.kind,
    publicKeys: (options) => identity.publicKeys(options),
    ready: (options) => identity.ready(options),
    sign: async (request) => {
      const signature = await identity.sign(request);
      used = request.publicKey.blob;
      return signature;
    },
    lastUsedFirst: (keys) => {
      const isUsed = ({ blob }: PublicKey) => used !== undefined && Buffer.compare(blob, used) === 0;
      return [...keys.filter(isUsed), ...keys.filter((key) => !isUsed(key))];
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

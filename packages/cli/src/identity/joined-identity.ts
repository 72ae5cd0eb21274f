import { CodedError } from "@farside/protocol";
import type { Identity, PublicKey, SignRequest } from "@farside/ssh";

/**
 * Several identities as one: their keys in order, each once, signed for by the first that has it. Takes them over.
 */
export class JoinedIdentity implements Identity {
  readonly kind: Identity["kind"];
  readonly #identities: readonly Identity[];

  constructor(kind: Identity["kind"], identities: readonly Identity[]) {
    this.kind = kind;
    this.#identities = identities;
  }

  async publicKeys(options?: { signal?: AbortSignal | undefined }): Promise<readonly PublicKey[]> {
    const keys = new Map<string, PublicKey>();
    for (const identity of this.#identities) {
      for (const key of await identity.publicKeys(options)) {
        const name = nameOf(key);
        if (!keys.has(name)) keys.set(name, key);
      }
    }
    return [...keys.values()];
  }

  async sign(request: SignRequest): Promise<Uint8Array> {
    const wanted = nameOf(request.publicKey);
    for (const identity of this.#identities) {
      const keys = await identity.publicKeys({ signal: request.signal });
      if (keys.some((key) => nameOf(key) === wanted)) return identity.sign(request);
    }
    throw new CodedError("identity.none", "signing: nothing has the wanted key");
  }

  async close(): Promise<void> {
    await Promise.all(this.#identities.map((identity) => identity.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function nameOf({ blob }: PublicKey): string {
  return Buffer.from(blob).toString("base64");
}

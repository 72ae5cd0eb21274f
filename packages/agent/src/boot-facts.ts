/** What the loader knows and leaves for the agent in `globalThis[Symbol.for("farside.boot")]`. */
export interface BootFacts {
  /** 32 hex digits; marks the preamble. */
  readonly nonce: string;
  /** SHA-256 of the compressed bundle, which the loader has checked. */
  readonly digest: string;
}

/** The boot facts in `scope`; throws a plain Error where the agent was not started by a loader. */
export function readBootFacts(scope: object): BootFacts {
  const facts: unknown = (scope as Record<symbol, unknown>)[Symbol.for("farside.boot")];
  const { nonce, digest } = (facts ?? {}) as Partial<Record<keyof BootFacts, unknown>>;
  if (typeof nonce !== "string" || !/^[0-9a-f]{32}$/.test(nonce)) throw new Error("started without a nonce");
  if (typeof digest !== "string" || !/^[0-9a-f]{64}$/.test(digest))
    throw new Error("started without a digest");
  return { nonce, digest };
}

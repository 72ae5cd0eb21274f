/** What the loader knows and leaves for the agent in `globalThis[Symbol.for("farside.boot")]`. */
export interface BootFacts {
  /** 32 hex digits; marks the preamble. */
  readonly nonce: string;
  /** SHA-256 of the compressed bundle, which the loader has checked. */
  readonly digest: string;
  /** What a bundle with several jobs is to do: JSON as hex digits; see `jobOf`. */
  readonly argument?: string | undefined;
  /** The compressed bundle, where there is an argument: a launcher passes it on. */
  readonly compressed?: Uint8Array | undefined;
}

/** The boot facts in `scope`; throws a plain Error where the agent was not started by a loader. */
export function readBootFacts(scope: object): BootFacts {
  const facts: unknown = (scope as Record<symbol, unknown>)[Symbol.for("farside.boot")];
  const { nonce, digest, argument, compressed } = (facts ?? {}) as Partial<Record<keyof BootFacts, unknown>>;
  if (typeof nonce !== "string" || !/^[0-9a-f]{32}$/.test(nonce)) throw new Error("started without a nonce");
  if (typeof digest !== "string" || !/^[0-9a-f]{64}$/.test(digest))
    throw new Error("started without a digest");
  return {
    ...{ nonce, digest },
    argument: typeof argument === "string" && argument !== "" ? argument : undefined,
    compressed: compressed instanceof Uint8Array ? compressed : undefined,
  };
}

/** The job that `argument` names; throws a plain Error where it is none. */
export function jobOf({ argument }: BootFacts): Readonly<Record<string, string>> {
  if (argument === undefined || !/^(?:[0-9a-f]{2})+$/.test(argument))
    throw new Error("started without a job");
  const job: unknown = JSON.parse(Buffer.from(argument, "hex").toString());
  if (typeof job !== "object" || job === null) throw new Error("started without a job");
  return Object.fromEntries(Object.entries(job).filter(([, value]) => typeof value === "string"));
}

/** `job` as an argument of the loader: hex digits pass through every login shell. */
export function jobArgument(job: Readonly<Record<string, string>>): string {
  return Buffer.from(JSON.stringify(job)).toString("hex");
}

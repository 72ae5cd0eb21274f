import { isCodedError } from "@farside/protocol";
import type { DeclaredHop } from "./destination-guard.ts";

/** Host keys that may be learned while one route is opened: one for each hop, and one more for a host that changes its mind. */
const MAX_REPORTED_KEYS = 9;

/** Of more kinds, none can be read. */
const MAX_KEYS_OF_A_HOST = 8;

/** Resolves where a host key that the jump host reports for a hop may be declared too; rejects with why not. */
export type JudgeHostKey = (
  hop: DeclaredHop,
  blob: Uint8Array,
  signal: AbortSignal,
  /** All that the host has, where it was asked for each; hostile as the blob. */
  all?: readonly Uint8Array[],
) => Promise<void>;

/** A route whose host keys may become known while it is used: what the jump host reports is judged, and declared if it may be. */
export class LearnedRoute {
  readonly #judge: JudgeHostKey;
  readonly #signal: AbortSignal;
  #hops: readonly DeclaredHop[];
  #learned = 0;

  constructor(hops: readonly DeclaredHop[], judge: JudgeHostKey, signal: AbortSignal) {
    this.#hops = hops;
    this.#judge = judge;
    this.#signal = signal;
  }

  get hops(): readonly DeclaredHop[] {
    return this.#hops;
  }

  /** Does `use` again as often as it fails for a host key that then may be declared. */
  async try<T>(use: (hops: readonly DeclaredHop[]) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await use(this.#hops);
      } catch (error) {
        await this.#learnFrom(error);
      }
    }
  }

  async #learnFrom(error: unknown): Promise<void> {
    const reported = reportedKey(error, this.#hops);
    this.#learned += 1;
    if (reported === undefined || this.#learned > MAX_REPORTED_KEYS) throw error;
    await this.#judge(reported.hop, reported.blob, this.#signal, reported.all);
    const declared = { ...reported.hop, hostKeys: [...reported.hop.hostKeys, reported.blob] };
    this.#hops = this.#hops.map((hop) => (hop === reported.hop ? declared : hop));
  }
}

/** The key that a failed open reports for a hop of the route, which is known by its address. */
function reportedKey(error: unknown, route: readonly DeclaredHop[]) {
  if (!isCodedError(error) || !error.code.startsWith("host-key.")) return undefined;
  const { hostKey, hostKeys = "", host, port } = error.data ?? {};
  if (typeof hostKey !== "string") return undefined;
  const blob = Buffer.from(hostKey, "base64");
  const hop = route.find(
    (candidate) =>
      candidate.host === host &&
      candidate.port === port &&
      !candidate.hostKeys.some((key) => blob.equals(key)),
  );
  const all = String(hostKeys).split(",", MAX_KEYS_OF_A_HOST).filter(Boolean);
  return hop === undefined ? undefined : { hop, blob, all: all.map((key) => Buffer.from(key, "base64")) };
}

import { CodedError } from "@farside/protocol";
import { Hop } from "./hop.ts";
import type { HopOptions } from "./hop-options.ts";

/** Connected hops, each dialled through the one before it. */
export interface JumpChain extends AsyncDisposable {
  /** In the order of the way; the last one is where it leads. */
  readonly hops: readonly Hop[];
  readonly last: Hop;
  /** Closes the hops, last first. Idempotent. */
  close(): Promise<void>;
}

/**
 * Connects to every hop through the one before it, as `ssh -J` does: each host key is checked and each login is made from
 * here. The first may have a `dial` of its own (a ProxyCommand). What fails closes what was connected.
 */
export async function connectChain(
  options: readonly HopOptions[],
  {
    signal,
    onConnected,
  }: { signal?: AbortSignal | undefined; onConnected?: ((hop: Hop) => void) | undefined } = {},
): Promise<JumpChain> {
  const hops: Hop[] = [];
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= closeInReverse(hops);
    return closing;
  };
  try {
    for (const hopOptions of options) {
      const before = hops.at(-1);
      const dial: HopOptions["dial"] =
        before && ((dialSignal) => before.dial(hopOptions.host, hopOptions.port, { signal: dialSignal }));
      const hop = await Hop.connect({
        ...hopOptions,
        ...(dial && { dial }),
        ...(signal && { signal }),
      });
      hops.push(hop);
      onConnected?.(hop);
    }
    const last = hops.at(-1);
    if (last === undefined) throw new CodedError("internal", "a chain without a hop");
    return { hops, last, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function closeInReverse(hops: readonly Hop[]): Promise<void> {
  for (const hop of [...hops].reverse()) await hop.close();
}

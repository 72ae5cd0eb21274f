import { deadline, type Receipt, toCodedError } from "@farside/protocol";
import type { JumpChain } from "@farside/ssh";
import { DEFAULTS } from "./forward-options.ts";
import { EVERY_RUN, EVERY_SESSION, type Traces } from "./leftovers.ts";
import { makeReceipt, unverified } from "./receipt.ts";
import { keptRuntimes } from "./runtime/kept-runtimes.ts";

const LOOK_TIMEOUT_MS = 10_000;
/** What the receipt of a whole host calls its session. */
const ALL = "*";
const EVERYTHING: Traces = { nonce: EVERY_RUN, ports: [], sockets: [], controls: [EVERY_SESSION] };

export interface TeardownHostOptions {
  /** As it was written, for the receipt of a host that can't be reached. */
  readonly host: string;
  /** Logs in there; the connection is closed here. */
  readonly connect: (signal: AbortSignal) => Promise<JumpChain>;
  readonly signal: AbortSignal;
}

/**
 * Asks a host which agents of the login's user are there, whoever started them, ends them, removes the Node.js that `--keep-runtime` left, and says what is left. Agents that are installed
 * there stay. Never rejects: a host that can't be looked at gives a receipt that is not clean.
 */
export async function teardownHost({ host, connect, signal }: TeardownHostOptions): Promise<Receipt> {
  let chain: JumpChain | undefined;
  try {
    chain = await connect(signal);
    const { last } = chain;
    const receipt = await makeReceipt({
      ...{ session: ALL, host: last.name, hop: last, traces: EVERYTHING, graceMs: DEFAULTS.graceMs, signal },
    });
    // Now that nobody is there who would take it.
    const limit = deadline(LOOK_TIMEOUT_MS, "looking for a Node.js that was kept took too long", { signal });
    const { left } = await keptRuntimes(last, { remove: true, signal: limit.signal }).finally(limit.release);
    if (left.length === 0) return receipt;
    return { ...receipt, files: [...receipt.files, ...left], clean: false };
  } catch (error) {
    return unverified(ALL, host, toCodedError(error).message);
  } finally {
    await chain?.close().catch(() => {});
  }
}

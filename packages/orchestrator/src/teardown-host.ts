import { type Receipt, toCodedError } from "@farside/protocol";
import type { JumpChain } from "@farside/ssh";
import { EVERY_RUN, EVERY_SESSION, type Traces } from "./leftovers.ts";
import { makeReceipt, unverified } from "./receipt.ts";

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
 * Asks a host which agents of the login's user are there, whoever started them, ends them and says what is left. Agents that are installed
 * there stay. Never rejects: a host that can't be looked at gives a receipt that is not clean.
 */
export async function teardownHost({ host, connect, signal }: TeardownHostOptions): Promise<Receipt> {
  let chain: JumpChain | undefined;
  try {
    chain = await connect(signal);
    const { last } = chain;
    return await makeReceipt({
      ...{ session: ALL, host: last.name, hop: last, traces: EVERYTHING, endAtOnce: true, signal },
    });
  } catch (error) {
    return unverified(ALL, host, toCodedError(error).message);
  } finally {
    await chain?.close().catch(() => {});
  }
}

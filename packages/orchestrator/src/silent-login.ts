import { setTimeout as wait } from "node:timers/promises";
import type { ExecStream, Hop } from "@farside/ssh";
import { markCommand, newNonce, shellMark } from "./bootstrap.ts";

/** What a second command of the same login, with nothing on its stdin, does while the first one is silent. */
export type SilentLogin =
  /** It ran: so the login waits on its stdin. */
  | { readonly kind: "runs" }
  /** It ended without having run: so the login runs something else. */
  | { readonly kind: "ends"; readonly channel: ExecStream; readonly noise: string }
  /** It is silent too, or was not allowed (MaxSessions): nobody can tell. */
  | { readonly kind: "unknown" };

export interface SilentLoginOptions {
  /** Borrowed. */
  readonly hop: Pick<Hop, "exec">;
  /** How long the first command gets before anything is asked, in ms; a login that is only slow is not asked. */
  readonly afterMs: number;
  /** How long the first gets to follow once the second has run. */
  readonly followMs: number;
  /** Aborted when the first command has been heard of. */
  readonly signal: AbortSignal;
}

const MAX_NOISE_BYTES = 64 * 1024;

/**
 * Finds out why a login does not run its command. A slow host is told from one whose rc files swallow stdin by a second
 * command whose stdin ends at once: what only waits for the end of stdin runs it. Rejects only with the signal's reason.
 */
export async function diagnoseSilence(options: SilentLoginOptions): Promise<SilentLogin> {
  const { hop, afterMs, followMs, signal } = options;
  await wait(afterMs, undefined, { signal });
  const nonce = newNonce();
  let channel: ExecStream;
  try {
    channel = await hop.exec(markCommand(nonce), { signal });
  } catch {
    signal.throwIfAborted();
    return { kind: "unknown" };
  }
  const stop = () => channel.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    channel.end();
    const { noise, hasRun } = await readUntil(channel, shellMark(nonce).trimEnd());
    signal.throwIfAborted();
    if (!hasRun) {
      await channel.exit;
      return { kind: "ends", channel, noise };
    }
    await wait(followMs, undefined, { signal });
    return { kind: "runs" };
  } finally {
    signal.removeEventListener("abort", stop);
    channel.destroy();
  }
}

async function readUntil(channel: ExecStream, mark: string): Promise<{ noise: string; hasRun: boolean }> {
  let noise = "";
  try {
    for await (const chunk of channel.iterator({ destroyOnReturn: false })) {
      noise = (noise + (chunk as Buffer).toString("latin1")).slice(-MAX_NOISE_BYTES);
      if (noise.includes(mark)) return { noise, hasRun: true };
    }
  } catch {
    // A channel that breaks has ended; why is told elsewhere.
  }
  return { noise, hasRun: false };
}

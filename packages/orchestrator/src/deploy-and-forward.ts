import { CodedError } from "@farside/protocol";
import { EventLog } from "./event-log.ts";
import type { ForwardOptions } from "./forward-options.ts";
import { planSession } from "./plan-session.ts";
import { Session } from "./session.ts";
import { turnOf } from "./shared-identity.ts";

/**
 * Starts a session and returns it at once, while it connects: await `ready`, and `close` it in any case. With a SharedIdentity it first
 * waits for its turn. Rejects where it can't even be planned, having left nothing, with `usage.invalid`, `config.invalid`, `identity.*`,
 * `session.name-in-use` or the signal's reason.
 */
export async function startSession(options: ForwardOptions): Promise<Session> {
  const { signal, onEvent } = options;
  signal?.throwIfAborted();
  const turn = turnOf(options.identity);
  const log = new EventLog();
  if (onEvent !== undefined) log.subscribe(onEvent);
  let session: Session;
  try {
    await turn.take("logging in", { signal });
    session = new Session(await planSession(options, log, { turn }), log);
  } catch (error) {
    turn.close();
    throw error;
  }
  const stop = () => void session.close({ graceMs: 0 });
  if (signal?.aborted === true) stop();
  signal?.addEventListener("abort", stop, { once: true });
  const started = () => {
    signal?.removeEventListener("abort", stop);
    turn.end();
  };
  session.ready.then(started, started);
  return session;
}

/**
 * Logs in to the jump host, puts the agent there in memory, opens the listeners there, and resolves when all of them are
 * open. Closing the session (or leaving the scope of `await using`) tears everything down and looks whether anything is
 * left. Rejects, after the teardown, with a CodedError that says which leg failed.
 *
 * ```ts
 * await using session = await deployAndForward({
 *   jump: "builder@build", forwards: "4444:localhost:4444", via: "signer@sign",
 * });
 * ```
 */
export async function deployAndForward(options: ForwardOptions): Promise<Session> {
  const session = await startSession(options);
  try {
    await session.ready;
  } catch (error) {
    // A stop by the caller's own signal is told with the caller's own reason.
    if (options.signal?.aborted === true && isCanceled(error)) throw options.signal.reason;
    throw error;
  }
  return session;
}

function isCanceled(error: unknown): boolean {
  return error instanceof CodedError && error.code === "canceled";
}

import { rm } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import { CodedError, deadline, type Receipt, toCodedError } from "@farside/protocol";
import { AuditTrail } from "@farside/protocol/audit";
import { isRunning } from "@farside/protocol/process-start";
import type { JumpChain } from "@farside/ssh";
import { DEFAULTS } from "./forward-options.ts";
import { removeStaleReadyFile } from "./ready-file.ts";
import { makeReceipt, unverified } from "./receipt.ts";
import { auditEvent } from "./session-audit.ts";
import { readSession, type StoredSession } from "./session-store.ts";
import { stateFolder } from "./state-folder.ts";
import { tracesOf } from "./traces.ts";

/** Beyond the session's grace, how long its orchestrator may take to tear down. */
const TEARDOWN_MARGIN_MS = 15_000;
const POLL_INTERVAL_MS = 50;
/** An end without open relays is mostly over by then, and the record, which is up to a second late, has those that there are. */
const TELL_SLOW_AFTER_MS = 1_500;

export interface TeardownOptions {
  /** Default `stateFolder()`. */
  readonly stateFolder?: string | undefined;
  /** How long to wait for a live orchestrator; default: its session's grace and 15 s. */
  readonly timeoutMs?: number | undefined;
  /** Logs in to the jump host of a session whose orchestrator is dead, to look and to end what is left. Without it, nobody looks. */
  readonly connect?: ((session: StoredSession, signal: AbortSignal) => Promise<JumpChain>) | undefined;
  /** Hears, once, where a live orchestrator takes longer than a moment, how many relays are still open, maybe none, and how long they have. */
  readonly onSlow?: ((openRelays: number, graceMs: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Ends a session of this workstation and says what is left of it. A live orchestrator gets SIGTERM and tears down itself; for a dead
 * one, its jump host is looked at where that is possible, and an agent that goes on there is ended, its open relays within the session's grace. Idempotent while something is left; once nothing is, the
 * session is gone. Rejects with `session.not-found`, `timeout`, or, where `signal` ends the wait for a live orchestrator, `canceled`: that one goes on with it.
 */
export async function teardownSession(name: string, options: TeardownOptions = {}): Promise<Receipt> {
  const root = options.stateFolder ?? stateFolder();
  const session = await readSession(root, name);
  if (session === undefined) {
    throw new CodedError(
      "session.not-found",
      `tearing down ${name}: there is no such session on this workstation`,
      {
        hint: "farside status lists them.",
      },
    );
  }
  if (session.isLive) return stopLive(session, root, options);
  return endDead(session, options);
}

async function stopLive({ record }: StoredSession, root: string, options: TeardownOptions): Promise<Receipt> {
  const { name, host, pid, graceMs = DEFAULTS.graceMs } = record;
  const timeoutMs = options.timeoutMs ?? graceMs + TEARDOWN_MARGIN_MS;
  const late = new CodedError(
    "timeout",
    `tearing down ${name}: its orchestrator (pid ${pid}) did not end in time`,
    {
      hint: "Try again; a second signal ends the grace of its open relays.",
    },
  );
  const limit = deadline(timeoutMs, () => late, { signal: options.signal });
  const openRelays = async () => (await readSession(root, name))?.record.openRelays ?? 0;
  const tellAt = performance.now() + TELL_SLOW_AFTER_MS;
  let isTold = options.onSlow === undefined;
  try {
    process.kill(pid, "SIGTERM");
    while (await isRunning(record)) {
      if (!isTold && performance.now() >= tellAt) {
        isTold = true;
        options.onSlow?.(await openRelays(), graceMs);
      }
      await wait(POLL_INTERVAL_MS, undefined, { signal: limit.signal });
    }
  } catch (error) {
    if (options.signal?.aborted === true) {
      const hasGrace = graceMs > 0 && (await openRelays()) > 0;
      const grace = hasGrace ? `: its open connections have ${graceMs / 1000} s` : "";
      throw new CodedError(
        "canceled",
        `tearing down ${name}: nobody waits for it any more, and it goes on${grace}`,
        { hint: `farside teardown ${name} once more ends it at once.`, cause: error },
      );
    }
    limit.signal.throwIfAborted();
    // It ended by itself in between.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  } finally {
    limit.release();
  }
  const after = await readSession(root, name);
  if (after === undefined)
    return { session: name, host, processes: [], listeners: [], files: [], clean: true };
  return after.record.receipt ?? endDead(after, options);
}

/** What a dead orchestrator may have left: its agent ends with the connection, so mostly nothing. */
async function endDead(session: StoredSession, options: TeardownOptions): Promise<Receipt> {
  const { record, undo, folder } = session;
  const { name, host } = record;
  const traces = tracesOf(undo);
  await removeStaleReadyFile(record.readyFile, record);
  const signal = options.signal ?? new AbortController().signal;
  let receipt: Receipt;
  if (traces === undefined) {
    receipt = { session: name, host, processes: [], listeners: [], files: [], clean: true };
  } else if (options.connect === undefined) {
    receipt = unverified(name, host, "its orchestrator is dead and nobody can log in to look");
  } else {
    let chain: JumpChain | undefined;
    try {
      chain = await options.connect(session, signal);
      // An agent that outlives its connection waits for its lease or its ttl.
      const isResident = undo.some(({ made }) => made === "control");
      const graceMs = isResident ? (record.graceMs ?? DEFAULTS.graceMs) : undefined;
      receipt = await makeReceipt({ session: name, host, hop: chain.last, traces, signal, graceMs });
    } catch (error) {
      receipt = unverified(name, host, toCodedError(error).message);
    } finally {
      await chain?.close().catch(() => {});
    }
  }
  if (receipt.clean) await rm(folder, { recursive: true, force: true });
  const audit = new AuditTrail({ folder: options.stateFolder ?? stateFolder() });
  auditEvent(audit, { name, host }, { event: "receipt", at: new Date().toISOString(), ...receipt });
  await audit.close();
  return receipt;
}

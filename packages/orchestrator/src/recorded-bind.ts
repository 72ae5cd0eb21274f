import { isIP } from "node:net";
import { type BindAddress, CodedError, isCodedError } from "@farside/protocol";
import { type ForwardSpec, formatBind } from "./forward-spec.ts";
import type { SessionFolder } from "./session-folder.ts";
import type { UndoEntry } from "./session-record.ts";

export interface RecordedBindOptions {
  readonly folder: Pick<SessionFolder, "making" | "undone">;
  /** `user@host` of the jump host. */
  readonly host: string;
  /** It stands in the undo log already. Default false. */
  readonly isRecorded?: boolean | undefined;
  readonly signal: AbortSignal;
}

/**
 * Has an agent listen at `bind` by `open`, which resolves with what it says is bound: written down in the undo log before, and
 * checked, for the agent may not have opened something else than it was asked for. Rejects as `open` does, or with `protocol.bad-message`.
 */
export async function recordedBind(
  bind: ForwardSpec["bind"],
  open: () => Promise<readonly BindAddress[]>,
  { folder, host, isRecorded = false, signal }: RecordedBindOptions,
): Promise<readonly BindAddress[]> {
  const entry = undoEntryOf(bind);
  if (entry !== undefined && !isRecorded) await folder.making(entry);
  let bound: readonly BindAddress[];
  try {
    bound = await open();
  } catch (error) {
    // The agent has answered, so it listens nowhere; when it is gone instead, nobody knows.
    const isAnswered = isCodedError(error) && error.code !== "agent.gone" && !signal.aborted;
    if (entry !== undefined && isAnswered) await folder.undone(entry);
    throw error;
  }
  const found = bound.map(undoEntryOf)[0];
  if (entry === undefined && found !== undefined) await folder.making(found);
  if (bound.every((address) => isAsked(bind, address))) return bound;
  throw new CodedError(
    "protocol.bad-message",
    `the agent on ${host} listens elsewhere than on ${formatBind(bind)}`,
    {
      leg: "bind",
    },
  );
}

/** What the undo log has for `bind`; undefined for a port that is not known yet. */
export function undoEntryOf(bind: BindAddress): UndoEntry | undefined {
  if (bind.kind === "unix") return { made: "socket", path: bind.path };
  return bind.port === 0 ? undefined : { made: "listener", port: bind.port };
}

function isAsked(bind: BindAddress, address: BindAddress): boolean {
  if (bind.kind === "unix" || address.kind === "unix") {
    return bind.kind === "unix" && address.kind === "unix" && bind.path === address.path;
  }
  if (address.port === 0 || (bind.port !== 0 && bind.port !== address.port)) return false;
  // A name that was asked for is some address of the host; whatever is told must be one.
  if (bind.kind === "tcp") return address.kind === "tcp" && isIP(address.address) !== 0;
  return address.kind === "loopback" || ["127.0.0.1", "::1"].includes(address.address);
}

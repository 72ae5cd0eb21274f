import { CodedError, holdAudit, MAX_AUDIT_CHUNK_BYTES, readHeldAudit } from "@farside/protocol";
import { type AuditReport, type ChainHead, verifyLog } from "@farside/protocol/audit";
import type { HostPeer } from "./host-peer.ts";

/** Sixteen files of 16 MiB each, and what a file may have grown beyond that before it was full. */
const MAX_LOG_BYTES = 512 * 1024 * 1024;
/** Chunks that are on the way at a time, so that a distant host costs no round trip a chunk. */
const CHUNKS_AHEAD = 4;

export interface VerifyHostAuditOptions {
  /** The installer on the host. */
  readonly installer: Pick<HostPeer, "ask">;
  /** The agent whose log it is. */
  readonly name: string;
  /** `user@host`, for messages. */
  readonly host: string;
  /** Places of it that were kept elsewhere. */
  readonly known: readonly ChainHead[];
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal: AbortSignal;
}

/**
 * Reads an installed agent's audit log from its host, line by line and in bounded memory, and says what in it is not as it was written, and
 * what that does not prove. Rejects with `agent.not-installed`, `protocol.bad-message`, or the signal's reason.
 */
export async function verifyHostAudit(
  options: VerifyHostAuditOptions,
): Promise<Omit<AuditReport, "files"> & { readonly bytes: number }> {
  const { installer, name, host, known, onBytes, signal } = options;
  const { bytes, head } = await installer.ask(holdAudit, { name }, signal);
  if (bytes > MAX_LOG_BYTES)
    throw new CodedError(
      "protocol.bad-message",
      `reading the audit log of ${name} on ${host}: it is said to be larger than a log can be (${bytes} bytes)`,
      { leg: "jump", hint: "Look at the files there: audit.*.jsonl in the agent's folder." },
    );
  onBytes?.(bytes);
  const report = await verifyLog(heldChunks(options, bytes), { head, known });
  return { ...report, bytes };
}

async function* heldChunks(
  { installer, name, host, signal }: VerifyHostAuditOptions,
  bytes: number,
): AsyncGenerator<Uint8Array> {
  const underWay: Promise<Uint8Array>[] = [];
  let asked = 0;
  const ask = () => {
    const length = Math.min(MAX_AUDIT_CHUNK_BYTES, bytes - asked);
    const offset = asked;
    asked += length;
    const chunk = installer.ask(readHeldAudit, { offset, length }, signal).then(({ data }) => {
      if (data.length === length) return data;
      throw new CodedError(
        "protocol.bad-message",
        `reading the audit log of ${name} on ${host}: it became shorter while it was read`,
        {
          leg: "jump",
          hint: "Only its agent writes to it, and never takes anything away: look at who else does.",
        },
      );
    });
    // The first that fails is told; the others come too late for anybody.
    chunk.catch(() => undefined);
    underWay.push(chunk);
  };
  for (;;) {
    while (underWay.length < CHUNKS_AHEAD && asked < bytes) ask();
    const next = underWay.shift();
    if (next === undefined) return;
    yield await next;
  }
}

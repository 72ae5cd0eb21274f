import { CodedError, type ErrorCode, isCodedError } from "@farside/protocol";
import { fingerprint, parsePublicKey } from "@farside/ssh";
import { formatHop } from "./delegated-signing.ts";
import { type HostKeyOptions, loadKnownHosts, placeOf } from "./host-keys.ts";
import type { ViaHop } from "./via-route.ts";

export interface JudgeOptions {
  readonly via: ViaHop;
  /** The key's blob, as the jump host reports it; hostile. */
  readonly blob: Uint8Array;
  /** All keys of the host, where it was asked for each; as hostile. */
  readonly all?: readonly Uint8Array[] | undefined;
  /** `user@host` of the jump host. */
  readonly reportedBy: string;
  readonly hostKeys: HostKeyOptions;
  readonly signal: AbortSignal;
}

/**
 * Decides about a host key that the jump host reports for a hop and that is none of the declared ones. Resolves where the
 * key may be declared from now on: its fingerprint is pinned, or the operator said yes (it is then added to
 * known_hosts). Rejects with `host-key.*`. A key that known_hosts has under another name is refused without asking:
 * the jump host may have led us to another host.
 */
export async function judgeReportedKey(options: JudgeOptions): Promise<void> {
  const { via, blob, all = [], reportedBy, hostKeys, signal } = options;
  const { hop, config, knownHosts, check, pinned } = via;
  const place = placeOf(config);
  const shown = fingerprint(blob);
  const refuse = (code: ErrorCode, what: string, hint?: string) =>
    new CodedError(code, `logging in to ${formatHop(hop)}: ${what}`, {
      leg: "hop",
      hint,
      data: { fingerprint: shown, host: place.host, port: place.port },
    });

  const type = keyType(blob);
  if (type === undefined)
    throw refuse("host-key.unknown", `${reportedBy} reports a host key that can't be read`);
  const fault = await faultOf(() => knownHosts.verify(blob, place));
  if (pinned.length > 0 && fault?.code !== "host-key.revoked") {
    if (pinned.includes(shown)) return;
    const named = all.flatMap((key) => keyType(key)?.concat(" ", fingerprint(key)) ?? []);
    const what =
      named.length > 1
        ? `${reportedBy} reports the host keys ${named.join(", ")}, of which none is given with --via-host-key`
        : `${reportedBy} reports the host key ${type} ${shown}, which is not given with --via-host-key`;
    throw refuse("host-key.changed", what, "Compare the fingerprint with the host's administrator.");
  }
  if (fault === undefined) return;
  if (fault.code !== "host-key.unknown") throw refuse(fault.code, fault.message, fault.hint);

  const [otherName] = knownHosts.namesOf(blob);
  if (otherName !== undefined) {
    const what = `${reportedBy} reports the host key ${shown}, which known_hosts has under another name (${otherName})`;
    const hint =
      "It may have led you to another host. If both names are the same host, add this one to known_hosts too.";
    throw refuse("host-key.unknown", what, hint);
  }
  if (check === "ask" && hostKeys.ask !== undefined) {
    if (!(await hostKeys.ask({ place, type, fingerprint: shown, reportedBy }, { signal }))) {
      throw refuse("host-key.declined", `the host key ${type} ${shown} was not accepted`);
    }
    const saver = await loadKnownHosts(config, { ...hostKeys, check: "accept-new" });
    return saver.verify(blob, place);
  }
  const certified =
    via.authorities === undefined
      ? ""
      : " Or let the jump host's ssh log in by the authority in known_hosts: --engine openssh.";
  throw refuse(
    "host-key.unknown",
    `its host key is unknown; ${reportedBy} reports ${type} ${shown}`,
    `Compare the fingerprint with the host's administrator, then add the key to known_hosts, or give --via-host-key ${config.alias}=${shown}.${certified}`,
  );
}

async function faultOf(verify: () => Promise<void>): Promise<CodedError | undefined> {
  try {
    await verify();
    return undefined;
  } catch (error) {
    if (isCodedError(error)) return error;
    throw error;
  }
}

function keyType(blob: Uint8Array): string | undefined {
  try {
    return parsePublicKey(blob).type;
  } catch {
    return undefined;
  }
}

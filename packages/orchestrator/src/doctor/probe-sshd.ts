import { isCodedError } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { markCommand, newNonce } from "../bootstrap.ts";
import type { DeclaredHop } from "../destination-guard.ts";
import { forwardsAnywhere, respectSshdPolicy } from "../sshd-policy.ts";
import type { Check } from "./check.ts";
import { failureAsCheck } from "./failure-as-check.ts";
import type { ProbeOptions } from "./probe-options.ts";

export interface ProbeSshdOptions extends ProbeOptions {
  /** The jump host; borrowed. */
  readonly hop: Hop;
  /** `user@host`, for messages. */
  readonly host: string;
  readonly route: readonly DeclaredHop[];
  /** What one session on a connection is enough for, where it is not for all. */
  readonly enoughFor?: string | undefined;
  readonly signal: AbortSignal;
}

/** Asks the jump host's sshd what it lets this login do. A session needs none of it. */
export async function probeSshd(options: ProbeSshdOptions): Promise<void> {
  const { onCheck } = options;
  await failureAsCheck("sshd", async () => onCheck(await askForwarding(options)), options);
  await failureAsCheck("sshd", async () => onCheck(await askSessions(options)), options);
}

async function askForwarding(options: ProbeSshdOptions): Promise<Check> {
  const { hop, host, route, forwards, signal } = options;
  const first = route[0];
  const destinations =
    first === undefined
      ? forwards.map(({ target }) => target)
      : [{ kind: "tcp" as const, host: first.host, port: first.port }];
  const isFree = await forwardsAnywhere({ hop, host, signal });
  try {
    if (!isFree && destinations.length > 0) await respectSshdPolicy({ hop, host, destinations, signal });
  } catch (error) {
    if (!isCodedError(error) || error.code !== "forward.forbidden-by-policy") throw error;
    if (options.respectSshdPolicy) throw error;
    return forbidden(`sshd of ${host} forbids this login what a session would forward`);
  }
  if (isFree) return ok("sshd lets this login forward");
  return destinations.length > 0
    ? ok("sshd lets this login forward where a session would (PermitOpen)")
    : forbidden(`sshd of ${host} forbids this login to forward to the host itself`);
}

async function askSessions({ hop, signal, enoughFor }: ProbeSshdOptions): Promise<Check> {
  try {
    const channel = await hop.exec(markCommand(newNonce()), { signal });
    channel.on("error", () => {}).resume();
    channel.end();
    await channel.exit;
    channel.destroy();
    return ok("sshd allows further sessions on the connection");
  } catch (error) {
    if (!isCodedError(error) || error.code !== "hop.channel-refused") throw error;
    const enough = enoughFor === undefined ? "is enough" : `is enough for ${enoughFor}`;
    return ok(`sshd allows one session on a connection (MaxSessions 1), which ${enough}`);
  }
}

function ok(text: string): Check {
  return { check: "sshd", outcome: "ok", text };
}

function forbidden(text: string): Check {
  return {
    ...{ check: "sshd", outcome: "warning" },
    text: `${text} (AllowTcpForwarding, DisableForwarding, PermitOpen, restrict)`,
    hint: "farside works all the same: what it runs there opens its sockets itself. --respect-sshd-policy holds it to what sshd allows.",
  };
}

import os from "node:os";

const TITLE = /^farside-agent (\S{1,64})(?: lease-until=(\d{1,15}|never))?$/;
const MAX_NAME = 64;

/** What the title of an agent's process says. */
export interface AgentTitle {
  readonly session: string;
  /** When its lease ends if nobody renews it, in s of the host's uptime; undefined where it has none, or does not say. */
  readonly leaseUntil: number | undefined;
}

/**
 * What `ps`, the holder of a port and other agents are shown: no secret, and nothing a terminal could take for a command.
 * `leaseUntil`: as in `AgentTitle`; `never` for an agent without a lease.
 */
export function agentTitle(session: string, leaseUntil?: number | "never"): string {
  return `farside-agent ${shown(session)}${leaseUntil === undefined ? "" : ` lease-until=${leaseUntil}`}`;
}

/** That of an installed agent: not as one of a session, which may be told to give its port up. */
export function installedTitle(name: string): string {
  return `farside-installed ${shown(name)}`;
}

/** Reads a title back; undefined for that of anything else. */
export function parseAgentTitle(title: string): AgentTitle | undefined {
  const [, session, until] = TITLE.exec(title) ?? [];
  if (session === undefined) return undefined;
  return { session, leaseUntil: until === undefined || until === "never" ? undefined : Number(until) };
}

/** In s of the host's uptime, which all its processes share: the end of a lease that was renewed now. */
export function leaseUntil(leaseMs: number): number {
  return Math.ceil(os.uptime() + leaseMs / 1000);
}

function shown(name: string): string {
  return name.replace(/[^\x21-\x7e]/g, "_").slice(0, MAX_NAME);
}

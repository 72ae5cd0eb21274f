/** What an sshd with PerSourcePenalties (OpenSSH 9.8 and later, `LogLevel VERBOSE`) did to the addresses that came to it. */
export interface SshdPenalties {
  readonly connections: number;
  readonly logins: number;
  /** Charges too small to turn anybody away yet, by their reason. sshd logs the first of a series only. */
  readonly charges: ReadonlyMap<string, number>;
  /** Log lines of addresses that were turned away: a penalty came into force, or a connection was dropped for one. */
  readonly penalties: readonly string[];
}

const NEW = /: new \S+ (active|deferred) penalty of \d+ seconds for (?:penalty: )?(.+)$/;
const IN_FORCE = /: activating \S+ penalty of \d+ seconds for |^drop connection .* penalty: /;

/** Reads sshd's log. */
export function penaltiesIn(log: string): SshdPenalties {
  const charges = new Map<string, number>();
  const penalties: string[] = [];
  let [connections, logins] = [0, 0];
  for (const line of log.split(/\r?\n/)) {
    const [, kind, reason = ""] = NEW.exec(line) ?? [];
    if (kind === "deferred") charges.set(reason, (charges.get(reason) ?? 0) + 1);
    if (kind === "active" || IN_FORCE.test(line)) penalties.push(line.trim());
    if (line.startsWith("Connection from ")) connections += 1;
    if (line.startsWith("Accepted publickey ")) logins += 1;
  }
  return { connections, logins, charges, penalties };
}

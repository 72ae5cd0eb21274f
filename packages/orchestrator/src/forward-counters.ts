/** What went through one forward, as its events told; bytes are those of ended relays. */
export interface ForwardCounters {
  openRelays: number;
  totalRelays: number;
  refusedRelays: number;
  /** Client to target. */
  bytesIn: number;
  /** Target to client. */
  bytesOut: number;
}

export function zeroCounters(): ForwardCounters {
  return { openRelays: 0, totalRelays: 0, refusedRelays: 0, bytesIn: 0, bytesOut: 0 };
}

/** All forwards together. */
export function sumCounters(all: readonly Readonly<ForwardCounters>[]): ForwardCounters {
  const sum = zeroCounters();
  for (const counters of all) {
    for (const name of Object.keys(sum) as (keyof ForwardCounters)[]) sum[name] += counters[name];
  }
  return sum;
}

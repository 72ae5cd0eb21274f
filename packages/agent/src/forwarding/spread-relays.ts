/** What one connection to a hop has to do. */
export interface ConnectionLoad {
  /** Channels that are open. */
  readonly open: number;
  /** Channels that the hop was asked for and has not opened yet. */
  readonly opening: number;
}

export interface SpreadDecision {
  /** Which of the connections takes the next channel. */
  readonly take: number;
  /** Whether a further connection is worth its signature. */
  readonly wantsAnother: boolean;
}

/** Up to so many channels the first connection is taken, whatever the others have: so these can become idle. */
const FEW_CHANNELS = 16;
/** sshd looks at every channel it has for each packet: from here on a further connection makes opening faster. */
const MANY_CHANNELS = 128;
const MANY_OPENING = 48;

/** Where the next channel goes, with one connection or more, the first one first, of at most `limit`. */
export function spreadRelays(loads: readonly ConnectionLoad[], limit: number): SpreadDecision {
  const totals = loads.map(({ open, opening }) => open + opening);
  if ((totals[0] ?? 0) < FEW_CHANNELS) return { take: 0, wantsAnother: false };
  const least = Math.min(...totals);
  const take = totals.indexOf(least);
  const isBusy = least >= MANY_CHANNELS || (loads[take]?.opening ?? 0) >= MANY_OPENING;
  return { take, wantsAnother: loads.length < limit && isBusy };
}

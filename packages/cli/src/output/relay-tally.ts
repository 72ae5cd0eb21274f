import type { SessionEvent } from "@farside/protocol";
import prettyBytes from "pretty-bytes";
import { times } from "./describe-event.ts";

/** What the live line shows. Bytes are those of relays that have ended. */
export interface RelayTally {
  readonly open: number;
  readonly total: number;
  readonly refused: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export const emptyTally: RelayTally = { open: 0, total: 0, refused: 0, bytesIn: 0, bytesOut: 0 };

/** The tally after `event`; the same object where the event does not change it. */
export function tallyAfter(tally: RelayTally, event: SessionEvent): RelayTally {
  switch (event.event) {
    case "relay.open":
      return { ...tally, open: tally.open + 1, total: tally.total + 1 };
    case "relay.close":
      return {
        ...tally,
        // Its opening may have been dropped from a full queue.
        open: Math.max(0, tally.open - 1),
        bytesIn: tally.bytesIn + event.bytesIn,
        bytesOut: tally.bytesOut + event.bytesOut,
      };
    case "relay.refused":
      return { ...tally, refused: tally.refused + 1 };
    default:
      return tally;
  }
}

/** `2 relays open, 7 so far · 1.2 MB to the target, 3 kB back · 1 refused`. */
export function tallyText(tally: RelayTally): string {
  const parts = [
    `${times(tally.open, "relay", "relays")} open, ${tally.total} so far`,
    `${prettyBytes(tally.bytesIn)} to the target, ${prettyBytes(tally.bytesOut)} back`,
  ];
  if (tally.refused > 0) parts.push(`${tally.refused} refused`);
  return parts.join(" · ");
}

import { createInterface } from "node:readline";
import type { Lab } from "../lab/lab.ts";
import { installProgram } from "../lab/program.ts";
import { within } from "../support/wait-for.ts";
import type { MeasuredSession } from "./measured-session.ts";

/** What the clients saw; see test/lab/programs/short-relays.ts. */
export interface ShortRelaysSight {
  readonly done: number;
  readonly answered: number;
  readonly reset: number;
  readonly dropped: number;
  readonly silent: number;
  readonly failed: number;
  readonly failures: readonly string[];
}

export interface ShortRelaysOptions {
  readonly lab: Lab;
  readonly session: MeasuredSession;
  readonly count: number;
  readonly perSecond: number;
  readonly seed: number;
  /** Every thousand. */
  readonly onSight?: (sight: ShortRelaysSight) => void;
}

/** Opens and closes `count` connections to the session's listener; resolves once all are over. */
export async function runShortRelays(options: ShortRelaysOptions): Promise<ShortRelaysSight> {
  const { lab, session, count, perSecond, seed, onSight } = options;
  const program = await installProgram(lab.jump, "short-relays");
  const argv = [...program, ...[session.port, count, perSecond, seed].map(String)];
  await using clients = lab.jump.spawn(argv, { user: lab.jump.user });
  let last: ShortRelaysSight | undefined;
  createInterface({ input: clients.output }).on("line", (line) => {
    last = JSON.parse(line) as ShortRelaysSight;
    onSight?.(last);
  });
  // Ten times what it takes at that rate, and a minute.
  await within(clients.exit, (count / perSecond) * 10_000 + 60_000, "the end of the short relays");
  if (last?.done !== count)
    throw new Error(`${last?.done ?? 0} of ${count} connections ended\n${clients.stderr}`);
  return last;
}

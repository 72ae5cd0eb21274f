import { setTimeout as wait } from "node:timers/promises";
import { SeededRandom } from "@farside/protocol/testing";
import { waitFor } from "../support/wait-for.ts";
import type { Condition, ConditionContext } from "./conditions.ts";
import { PenaltyLab, type PenaltyLabOptions } from "./penalty-lab.ts";
import type { SshdPenalties } from "./sshd-penalties.ts";

export interface WatchOptions extends PenaltyLabOptions {
  /** How long it is watched at least, in ms. A round that would go on long after that is not begun any more. */
  readonly durationMs: number;
  readonly awayMs: ConditionContext["awayMs"];
  readonly seed: number;
  readonly say?: (line: string) => void;
}

export interface ConditionReport {
  readonly name: string;
  readonly seconds: number;
  readonly rounds: number;
  readonly jump: SshdPenalties;
  readonly target: SshdPenalties;
  /** What the user was told, without what differs each time. */
  readonly told: readonly string[];
  /** What was not as it must be, a line each. */
  readonly problems: readonly string[];
}

/** Then there is nothing to be learned from more. */
const MAX_FAILED_ROUNDS = 5;
/** A round may end so much later than the watch was to. */
const SLACK = 1 / 6;

/**
 * Keeps a condition up in a lab of its own and counts what both hosts' sshd held against the addresses that came. At the end
 * somebody misbehaves on purpose: a run in which that is not seen proves nothing.
 */
export async function watchCondition(condition: Condition, options: WatchOptions): Promise<ConditionReport> {
  const { durationMs, awayMs, seed, say = () => {} } = options;
  await using lab = await PenaltyLab.start(options);
  const context: ConditionContext = {
    lab,
    random: new SeededRandom(seed),
    awayMs,
    farside: await lab.startFarside(condition.options),
  };
  const [problems, events]: [string[], string[]] = [[], []];
  const runs = new Set([context.farside]);
  const startedAt = performance.now();
  const lasted = (): number => performance.now() - startedAt;
  let rounds = 0;
  let longestMs = 0;
  while (
    lasted() + longestMs < durationMs * (1 + SLACK) &&
    lasted() < durationMs &&
    problems.length < MAX_FAILED_ROUNDS
  ) {
    const begunAt = lasted();
    rounds += 1;
    try {
      await condition.round(context);
    } catch (error) {
      problems.push(`round ${rounds}: ${(error as Error).message}`);
      if (context.farside.process.hasEnded) context.farside = await lab.startFarside(condition.options);
    }
    longestMs = Math.max(longestMs, lasted() - begunAt);
    runs.add(context.farside);
    const { jump, target } = await lab.penalties();
    say(`${condition.name}: round ${rounds}, ${jump.penalties.length + target.penalties.length} penalties`);
  }
  // An sshd may hold against somebody later what happened earlier.
  while (problems.length === 0 && lasted() < durationMs) await wait(durationMs - lasted());
  const seconds = Math.floor(lasted() / 1000);
  const { jump, target } = await lab.penalties();
  for (const [host, { penalties }] of [
    ["jump host", jump],
    ["target", target],
  ] as const)
    problems.push(...penalties.map((line) => `the ${host}'s sshd: ${line}`));
  for (const run of runs) {
    events.push(...run.events.map((event) => JSON.stringify(event)));
    await run.process.kill();
  }
  const untold = condition.tells.filter((line) => !events.some((event) => line.test(event)));
  problems.push(...untold.map((line) => `the user was not told: ${line}`));
  await lab.misbehave();
  const isSeen = async (): Promise<boolean> => {
    const now = await lab.penalties();
    return (
      now.jump.penalties.length > jump.penalties.length &&
      now.target.penalties.length > target.penalties.length
    );
  };
  await waitFor(isSeen, { what: "the penalty of a client that misbehaves" }).catch((error: Error) =>
    problems.push(error.message),
  );
  return { name: condition.name, seconds, rounds, jump, target, told: toldIn(events), problems };
}

/** What of `events` says what is waited for. */
function toldIn(events: readonly string[]): string[] {
  const told = new Set<string>();
  for (const event of events.map((line) => JSON.parse(line) as Record<string, unknown>)) {
    if (event["event"] === "card.state") told.add(`the card is ${String(event["state"])}`);
    if (event["event"] === "forward.state")
      told.add(["forward", event["phase"], event["waitsFor"], event["code"]].filter(Boolean).join(", "));
    if (event["event"] === "error") told.add(`error ${String(event["code"])}`);
    if (event["event"] === "reattached") told.add("reattached");
    if (event["event"] === "warning" && /connecting again$/.test(String(event["message"])))
      told.add("connecting again");
  }
  return [...told].sort();
}

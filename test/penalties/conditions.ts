import { setTimeout as wait } from "node:timers/promises";
import type { SeededRandom } from "@farside/protocol/testing";
import type { Host } from "../lab/host.ts";
import type { FarsideRun } from "../support/farside.ts";
import { linkDownFor } from "../support/interrupted-transfer.ts";
import { waitFor, within } from "../support/wait-for.ts";
import type { PenaltyLab } from "./penalty-lab.ts";

export interface ConditionContext {
  readonly lab: PenaltyLab;
  /** The session that runs now; a condition that ends it puts another in its place. */
  farside: FarsideRun;
  readonly random: SeededRandom;
  /** How long anything is away, in ms. */
  readonly awayMs: { readonly min: number; readonly max: number };
}

/** Something that goes on for an hour, and must not make any sshd turn this address away. */
export interface Condition {
  readonly name: string;
  /** Of `farside forward`, besides the main job. */
  readonly options: readonly string[];
  /** What the user must have been told, in a line of the events each. */
  readonly tells: readonly RegExp[];
  /** A login may be cut off from its host, where nobody can end it, for longer than a LoginGraceTime of seconds. */
  readonly cutsLoginsOff?: true;
  /** Begins it once and ends it again: resolves when the forward works again. Rejects where the user was not told what it waits for. */
  readonly round: (context: ConditionContext) => Promise<void>;
}

/** Longer than it takes to notice a host that has gone without a word. */
const NOTICE_MS = 60_000;
const BACK_MS = 90_000;
/** Between two flaps: from one that the other has hardly seen to a login that is just done. */
const LONGEST_FLAP_GAP_MS = 3_000;
const LONGEST_BLACK_HOLE_MS = 15_000;

const pause = ({ random, awayMs: { min, max } }: ConditionContext): Promise<void> =>
  wait(min + random.below(max - min));

/** Waits for a line that comes from now on. */
function saidFromNowOn({ farside }: ConditionContext): (line: RegExp, withinMs?: number) => Promise<unknown> {
  const past = farside.events.length;
  return (line, withinMs = NOTICE_MS) =>
    waitFor(() => farside.events.slice(past).some((event) => line.test(JSON.stringify(event))), {
      ...{ what: `an event like ${line}`, withinMs },
      detail: () => farside.transcript.slice(-4_000),
    });
}

const DEGRADED = /"forward.state".*"phase":"degraded"/;
const OPEN = /"forward.state".*"phase":"open"/;

const cardOut: Condition = {
  name: "card out",
  options: ["--reattach", "--lease", "10m", "--on-card-removal", "wait"],
  tells: [/"card.state".*"state":"removed"/, /"card.state".*"state":"waiting"/, /"phase":"needs-signature"/],
  async round(context) {
    const { lab, random, farside } = context;
    const { card, target, jump } = lab.lab;
    const said = saidFromNowOn(context);
    await card.remove();
    try {
      // Before a signature is wanted: OpenSC 0.23 hangs where the card goes and comes in the middle of one.
      await said(/"card.state".*"state":"removed"/);
      await lab.killLogins(target);
      if (random.below(2) === 0) await lab.killLogins(jump);
      await said(/"state":"waiting"|"phase":"needs-signature"/);
      await pause(context);
    } finally {
      await card.insert();
    }
    await waitFor(() => isSettled(farside), { what: "the login to the jump host", withinMs: BACK_MS });
    await lab.talks();
  },
};

const targetDown: Condition = {
  name: "target down",
  options: ["--reattach", "--lease", "10m"],
  tells: [/"phase":"degraded","waitsFor":"the hop","retryInMs":\d+.*"code":"hop.unreachable"/],
  async round(context) {
    const { lab, random } = context;
    const { target } = lab.lab;
    const said = saidFromNowOn(context);
    const kind = random.pick(["stopped", "unplugged", "frozen"] as const);
    if (kind === "stopped") await target.sshd.stop();
    if (kind === "unplugged") await target.linkDown("to-jump");
    const pid = await target.sshd.pid();
    // It takes connections, as the kernel does that for it, and says nothing.
    if (kind === "frozen" && pid !== undefined) process.kill(pid, "SIGSTOP");
    if (kind !== "unplugged") await lab.killLogins(target);
    try {
      await said(DEGRADED);
      await pause(context);
    } finally {
      if (kind === "stopped") await lab.startSshd(target);
      if (kind === "unplugged") await target.linkUp("to-jump");
      if (kind === "frozen" && pid !== undefined) process.kill(pid, "SIGCONT");
    }
    await said(OPEN, BACK_MS);
    await lab.talks();
  },
};

const keyRefused: Condition = {
  name: "key refused",
  options: ["--reattach", "--lease", "10m"],
  tells: [
    /"phase":"degraded","waitsFor":"the hop; it is tried again when a connection needs it","code":"hop.auth-refused"/,
    /"event":"error".*"code":"hop.auth-refused".*"leg":"jump"/,
  ],
  async round(context) {
    const { lab } = context;
    const { target, jump } = lab.lab;
    const said = saidFromNowOn(context);
    const atTarget = await refusing(target, async () => {
      await lab.killLogins(target);
      await said(/"phase":"degraded".*"code":"hop.auth-refused"/);
      await pause(context);
    });
    await atTarget.heal();
    await said(OPEN, BACK_MS);
    const atJump = await refusing(jump, async () => {
      await lab.killLogins(jump);
      const { code } = await within(context.farside.exit, NOTICE_MS, "the end of farside");
      if (code !== 77) throw new Error(`exit ${code}\n${context.farside.transcript.slice(-4_000)}`);
      await pause(context);
    });
    await atJump.heal();
    context.farside = await lab.startFarside(keyRefused.options);
  },
};

const linkFlapping: Condition = {
  name: "link flapping",
  options: ["--reattach", "--lease", "2m"],
  tells: [/"warning".*connecting again/, /"reattached"/],
  cutsLoginsOff: true,
  async round(context) {
    const { lab, random, farside } = context;
    const { workstation, jump, target } = lab.lab;
    await lab.killLogins(jump);
    for (let left = 1 + random.below(6); left > 0; left -= 1) {
      const kind = random.pick(["down", "reset", "killed", "black hole", "target's cable"] as const);
      const ms = random.below(Math.min(LONGEST_BLACK_HOLE_MS, context.awayMs.max));
      if (kind === "down") await linkDownFor(ms)(lab.lab);
      if (kind === "reset") await workstation.exec(["ss", "-K", "dst", jump.address]);
      if (kind === "killed") await lab.killLogins(jump);
      if (kind === "black hole") {
        await lab.lab.blackholeWorkstationLink();
        await wait(ms);
        await lab.lab.endBlackhole();
      }
      if (kind === "target's cable") {
        await target.linkDown("to-jump");
        await wait(ms);
        await target.linkUp("to-jump");
      }
      await wait(random.below(LONGEST_FLAP_GAP_MS));
    }
    await waitFor(() => isSettled(farside), {
      ...{ what: "the session's connection", withinMs: BACK_MS },
      detail: () => farside.transcript.slice(-4_000),
    });
    await lab.talks();
  },
};

/** Each loss of the connection was followed by its return. */
function isSettled(farside: FarsideRun): boolean {
  const losses = farside.of("warning").filter(({ message }) => /connecting again$/.test(message)).length;
  return !farside.process.hasEnded && farside.of("reattached").length >= losses;
}

/** `host` knows no key of its user's while `meanwhile` runs, and until it is healed. */
async function refusing(host: Host, meanwhile: () => Promise<void>): Promise<{ heal: () => Promise<void> }> {
  const file = `/home/${host.user}/.ssh/authorized_keys`;
  await host.run(["cp", "-p", file, `${file}.kept`]);
  const heal = async (): Promise<void> => void (await host.run(["mv", `${file}.kept`, file]));
  await host.run(["truncate", "-s", "0", file]);
  try {
    await meanwhile();
    return { heal };
  } catch (error) {
    await heal();
    throw error;
  }
}

export const conditions: readonly Condition[] = [cardOut, targetDown, keyRefused, linkFlapping];

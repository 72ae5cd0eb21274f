import { setTimeout as wait } from "node:timers/promises";
import type { SessionEventOf } from "@farside/protocol";
import type { Lab } from "../lab/lab.ts";
import { exchangeBytes, receivedBy, reportsOf, sentBy, startByteService } from "./byte-traffic.ts";
import { type FarsideRun, JUMP_LOGIN, runFarside, TARGET_LOGIN } from "./farside.ts";
import { waitFor } from "./wait-for.ts";

/** A way to lose the connection between workstation and jump host; resolves when the link is good again. */
export type Interruption = (lab: Lab) => Promise<void>;

const SERVICE_PORT = 4450;
/** Long enough after the start that both directions are under way. */
const LEAD_MS = 1_000;

export interface InterruptedTransferOptions {
  readonly lab: Lab;
  readonly interruptions: readonly Interruption[];
  /** How long the transfer takes, undisturbed. */
  readonly seconds: number;
  readonly bytesPerSecond: number;
  /** Of `farside forward`: `--reattach`, `--lease` … */
  readonly options: readonly string[];
}

export interface InterruptedTransfer {
  readonly farside: FarsideRun;
  /** What each end sent is what the other received, to the byte. */
  readonly isWhole: boolean;
  /** What the card was asked for during the transfer. */
  readonly pinEntries: number;
  readonly signatures: number;
  /** Logins to the jump host after the first. */
  readonly logins: number;
  /** From the end of each interruption to `reattached`. */
  readonly backAfterMs: readonly number[];
}

/**
 * Moves bytes in both directions at a steady rate through a forward to the target's SSH, loses the connection of the
 * session meanwhile, and tells what became of both. farside still runs; the caller ends it.
 */
export async function interruptedTransfer(options: InterruptedTransferOptions): Promise<InterruptedTransfer> {
  const { lab, interruptions, seconds, bytesPerSecond } = options;
  const bytes = Math.round(seconds * bytesPerSecond);
  const service = await startByteService(lab.target, String(SERVICE_PORT), bytes);
  const farside = runFarside(lab, [
    ...["forward", JUMP_LOGIN, "-L", `4444:localhost:${SERVICE_PORT}`, "--via", TARGET_LOGIN],
    ...options.options,
  ]);
  try {
    await farside.ready();
    const before = await lab.card.counters();
    const exchanging = exchangeBytes(lab.jump, "127.0.0.1:4444", { bytes, streams: 1, bytesPerSecond });
    // Whatever becomes of it is told below.
    exchanging.catch(() => {});
    const backAfterMs: number[] = [];
    for (const [index, interrupt] of interruptions.entries()) {
      await wait(LEAD_MS);
      await interrupt(lab);
      const returned = performance.now();
      await nthReattached(farside, index + 1);
      backAfterMs.push(performance.now() - returned);
    }
    const reports = await exchanging;
    await waitFor(() => reportsOf(service.stdout).length > 0, { what: "the service's report" });
    const served = reportsOf(service.stdout);
    const after = await lab.card.counters();
    return {
      ...{ farside, backAfterMs },
      isWhole:
        String(sentBy(reports)) === String(receivedBy(served)) &&
        String(sentBy(served)) === String(receivedBy(reports)),
      pinEntries: after.verifies - before.verifies,
      signatures: signaturesOf(after.signs) - signaturesOf(before.signs),
      logins: farside.of("hop.connected").filter(({ leg }) => leg === "jump").length - 1,
    };
  } catch (error) {
    await farside.process.kill();
    throw new Error(`${(error as Error).message}\n${farside.transcript}`, { cause: error });
  } finally {
    await service.kill();
  }
}

function signaturesOf(bySlot: Readonly<Record<string, number>>): number {
  return Object.values(bySlot).reduce((sum, count) => sum + count, 0);
}

async function nthReattached(farside: FarsideRun, count: number): Promise<SessionEventOf<"reattached">> {
  return farside.waitForEvent("reattached", () => farside.of("reattached").length >= count);
}

/** The sshd process that serves the login ends, as when an administrator kills it. */
export const killLogin: Interruption = async ({ jump }) => {
  await jump.run(["pkill", "-KILL", "-f", "^sshd(-session)?: builder@notty"]);
};

/** The workstation's end of the connection is reset, as a firewall does that has lost its state. */
export const resetConnection: Interruption = async ({ workstation, jump }) => {
  const rule = `ip daddr ${jump.address} tcp dport 22 tcp flags & (syn | fin | rst) == 0 reject with tcp reset`;
  const table = `table inet lab_reset {\nchain out { type filter hook output priority 0; ${rule}; }\n}\n`;
  await workstation.run(["nft", "-f", "-"], { input: table });
  try {
    await waitFor(async () => !(await isConnected({ workstation, jump })), {
      what: "the end of the connection",
    });
  } finally {
    await workstation.run(["nft", "delete", "table", "inet", "lab_reset"]);
  }
};

/** The cable is out for `ms`. */
export const linkDownFor =
  (ms: number): Interruption =>
  async (lab) => {
    await lab.cutWorkstationLink();
    await wait(ms);
    await lab.restoreWorkstationLink();
  };

async function isConnected({ workstation, jump }: Pick<Lab, "workstation" | "jump">): Promise<boolean> {
  const { stdout } = await workstation.exec([
    "ss",
    "-Htn",
    "state",
    "established",
    "dst",
    `${jump.address}:22`,
  ]);
  return stdout.trim() !== "";
}

import { setTimeout as wait } from "node:timers/promises";
import type { FaultLab } from "../faults/fault-lab.ts";
import { type Lag, lagOf, lagProbe } from "../support/event-loop-lag.ts";
import type { FarsideRun } from "../support/farside.ts";

/** How long the card takes where it is slow: far more than an event loop may be late. */
const SLOW_MS = 1_000;
const UNDER = ["sh", "-c", 'shift; exec node --import "$0" "$@"', lagProbe];

interface Context {
  readonly faultLab: FaultLab;
  readonly farside: FarsideRun;
}

/** Something that the card does while farside goes on. */
export interface CardWork {
  readonly name: string;
  readonly run: (context: Context) => Promise<unknown>;
}

/** The connection to the target is lost, and the card has to sign for another. */
async function signAgain({ faultLab: { lab }, farside }: Context): Promise<void> {
  const before = farside.of("hop.connected").length;
  await lab.target.run(["sh", "-c", "pkill -u signer sshd || true"]);
  await farside.waitForEvent("hop.connected", () => farside.of("hop.connected").length > before);
}

async function outAndIn({ faultLab: { lab }, farside }: Context): Promise<void> {
  const before = farside.of("card.state").length;
  const comes = (wanted: string) =>
    farside.waitForEvent("card.state", () =>
      farside
        .of("card.state")
        .slice(before)
        .some(({ state }) => state === wanted),
    );
  await lab.card.remove();
  await comes("removed");
  await lab.card.insert();
  await comes("pin-needed");
}

export const noCardWork: CardWork = { name: "nothing, to compare", run: () => wait(SLOW_MS) };

/** In the order in which one session can have them; each PIN but the first is one of theirs. */
export const cardWorks: readonly CardWork[] = [
  noCardWork,
  {
    name: `it signs for ${SLOW_MS / 1000} s`,
    run: async (context) => {
      await context.faultLab.failModule(`C_Sign slow ${SLOW_MS}`);
      await signAgain(context);
    },
  },
  { name: "it is taken out and put back", run: outAndIn },
  {
    name: `it takes the PIN for ${SLOW_MS / 1000} s, and signs`,
    run: async (context) => {
      await context.faultLab.failModule(`C_Login slow ${SLOW_MS}`);
      await signAgain(context);
    },
  },
  {
    name: "its module crashes, and is started again",
    run: async (context) => {
      const { faultLab, farside } = context;
      await faultLab.failModule("C_Sign crash");
      await faultLab.lab.target.run(["sh", "-c", "pkill -u signer sshd || true"]);
      await farside.waitForEvent("forward.state", ({ code }) => code === "card.crashed");
      await faultLab.failModule("");
      await farside.waitForEvent(
        "forward.state",
        ({ phase, code }) => phase === "open" && code === "card.crashed",
      );
    },
  },
];

/** Of them, what ./scripts/test looks at: all that takes the card itself a while. */
export const slowCardWorks = cardWorks.slice(0, 4);
/** What the event loop may be late. */
export const MAX_LATE_MS = 20;

/** How late the orchestrator's event loop is during each of `works`, in one session. */
export async function measureCardLag(
  faultLab: FaultLab,
  works = cardWorks,
): Promise<ReadonlyMap<string, Lag>> {
  const lags = new Map<string, Lag>();
  await faultLab.failModule("");
  await using farside = await faultLab.startFarside("lag", { under: UNDER });
  await farside.ready();
  for (const { name, run } of works) {
    await lagOf(farside.process);
    await run({ faultLab, farside });
    lags.set(name, await lagOf(farside.process));
    await faultLab.failModule("");
  }
  await farside.end();
  return lags;
}

import { setTimeout as delay } from "node:timers/promises";
import { farsideSsh, farsideTcp } from "../forwarders/farside.ts";
import { ssh } from "../forwarders/ssh-forwarders.ts";
import { socatBig } from "../forwarders/tcp-forwarders.ts";
import { Load } from "../lab/load.ts";
import { peakMegabytes, resetPeak } from "../lab/processes.ts";
import { interleave } from "./interleave.ts";
import type { Suite } from "./suite.ts";

const CASE = "16 uploads";
const ways = [
  { ...farsideSsh, name: "farside, SSH target" },
  { ...farsideTcp, name: "farside, TCP target" },
  ssh,
  socatBig,
];

/** Backpressure: what a reader that is too slow costs. */
export const slowReader: Suite = {
  id: "slow-reader",
  title: "Memory while 16 uploads wait for a slow reader",
  about:
    "16 clients send as fast as they can to a service that takes 64 KiB a second of each. The forwarder is started anew.",
  ways,
  metrics: ["peakRss"],
  rounds: 2,
  run: ({ bench, isQuick, rounds, progress }) =>
    interleave({
      ways,
      cases: [CASE],
      rounds,
      progress,
      measure: async (way) => {
        await using running = await way.start(bench);
        await resetPeak(await running.pids());
        const measureMs = isQuick ? 500 : 3000;
        await using load = new Load(bench.jump, running.address, ["slow", 16, 100, measureMs]);
        await load.next("measuring", 20_000);
        await delay(measureMs * 0.9);
        return { peakRss: await peakMegabytes(await running.pids()) };
      },
    }),
};

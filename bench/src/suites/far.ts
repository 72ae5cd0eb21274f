import { farsideSsh } from "../forwarders/farside.ts";
import { ssh } from "../forwarders/ssh-forwarders.ts";
import { DelayLine } from "../lab/delay-line.ts";
import { bulkCases, measureBulk } from "./bulk.ts";
import { measureRunning } from "./on-running.ts";
import type { Suite } from "./suite.ts";

const ROUND_TRIP_MS = 100;
const ways = [farsideSsh, ssh];

/** The same as bulk over a long way. */
export const far: Suite = {
  id: "far",
  title: "Bulk, SSH target 100 ms away",
  about: `As above, with a delay line of ${ROUND_TRIP_MS} ms round trip (two TUN devices, MTU 9000) between jump host and target.`,
  ways,
  metrics: ["rate", "peakRss"],
  rounds: 3,
  run: async (context) => {
    const { bench, isQuick } = context;
    await using _line = await DelayLine.between(bench.jump, bench.lab.target, ROUND_TRIP_MS);
    const cases = bulkCases(isQuick ? [1] : [1, 4]);
    // TCP needs some round trips until it is up to speed.
    const times = isQuick ? { warmUpMs: 1500, measureMs: 1000 } : { warmUpMs: 2500, measureMs: 2500 };
    return await measureRunning(context, ways, [...cases.keys()], (running, name) => {
      const wanted = cases.get(name);
      if (wanted === undefined) throw new Error(`no case ${name}`);
      return measureBulk(bench, running, wanted, times);
    });
  },
};

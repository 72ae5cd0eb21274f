import { setTimeout as delay } from "node:timers/promises";
import { farsideSsh, farsideTcp } from "../forwarders/farside.ts";
import type { Forwarder, RunningForwarder } from "../forwarders/forwarder.ts";
import { asyncSsh, ssh, sshGcm } from "../forwarders/ssh-forwarders.ts";
import { direct, haproxy, haproxySplice, naivePipe, socat, socatBig } from "../forwarders/tcp-forwarders.ts";
import type { BenchLab } from "../lab/bench-lab.ts";
import { Load, numberOf } from "../lab/load.ts";
import { cpuSeconds, peakMegabytes, resetPeak } from "../lab/processes.ts";
import type { Measured } from "../sample.ts";
import { measureRunning } from "./on-running.ts";
import type { Suite } from "./suite.ts";

export interface BulkTimes {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

interface BulkCase {
  readonly direction: "down" | "up";
  readonly streams: number;
}

/** `download, 4 streams` and the like, and what they stand for. */
export function bulkCases(streams: readonly number[]): Map<string, BulkCase> {
  const cases = new Map<string, BulkCase>();
  for (const count of streams) {
    const plural = `${count} ${count === 1 ? "stream" : "streams"}`;
    cases.set(`download, ${plural}`, { direction: "down", streams: count });
    cases.set(`upload, ${plural}`, { direction: "up", streams: count });
  }
  return cases;
}

/** Moves bytes one way for a while and says how many arrived in a second, and what that took. */
export async function measureBulk(
  bench: BenchLab,
  running: RunningForwarder,
  { direction, streams }: BulkCase,
  { warmUpMs, measureMs }: BulkTimes,
): Promise<Measured> {
  await resetPeak(await running.pids());
  await using load = new Load(bench.jump, running.address, [direction, streams, warmUpMs, measureMs]);
  await load.next("measuring", warmUpMs + 20_000);
  const pids = await running.pids();
  const cpuBefore = await cpuSeconds(pids);
  const from = performance.now();
  // Before the end: forwarders with a process for each connection lose them with it.
  await delay(measureMs * 0.9);
  const cpuShare = ((await cpuSeconds(pids)) - cpuBefore) / ((performance.now() - from) / 1000);
  const peakRss = await peakMegabytes(pids);
  const rate = numberOf(await load.next("done", measureMs + 20_000), "bytesPerSecond") / 1e6;
  if (pids.length === 0) return { rate };
  return { rate, cpuPerGB: cpuShare / (rate / 1000), peakRss };
}

const ABOUT = `Connections through the forward move zeros one way, as fast as they go; counted is what arrives. CPU time is that of the
forwarder's processes on the jump host (not of sshd, client or service, which run on the same cores).`;

function bulkSuite(
  id: string,
  title: string,
  ways: readonly [Forwarder, ...Forwarder[]],
  rounds: number,
): Suite {
  return {
    id,
    title,
    about: ABOUT,
    ways,
    metrics: ["rate", "cpuPerGB", "peakRss"],
    rounds,
    run: (context) => {
      const { bench, isQuick } = context;
      const cases = bulkCases(isQuick ? [1] : [1, 4, 16]);
      const times = isQuick ? { warmUpMs: 100, measureMs: 250 } : { warmUpMs: 300, measureMs: 1000 };
      return measureRunning(context, ways, [...cases.keys()], (running, name) =>
        measureBulk(bench, running, cases.get(name) as BulkCase, times),
      );
    },
  };
}

export const bulkTcp = bulkSuite(
  "bulk-tcp",
  "Bulk, TCP target",
  [farsideTcp, socat, socatBig, haproxy, haproxySplice, naivePipe, direct],
  3,
);
export const bulkSsh = bulkSuite("bulk-ssh", "Bulk, SSH target", [farsideSsh, ssh, sshGcm, asyncSsh], 4);

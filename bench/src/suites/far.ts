import type { Host } from "@farside/test/lab/host";
import { farsideSsh } from "../forwarders/farside.ts";
import { ssh } from "../forwarders/ssh-forwarders.ts";
import { DelayLine } from "../lab/delay-line.ts";
import type { Sample } from "../sample.ts";
import { bulkCases, measureBulk } from "./bulk.ts";
import { measureRunning } from "./on-running.ts";
import type { Suite } from "./suite.ts";

const MIB = 1024 * 1024;
const ROUND_TRIP_MS = 100;
const ways = [farsideSsh, ssh];
/** What Linux lets a TCP connection keep that is not acknowledged: by default, and where it was made for long ways. */
const SEND_BUFFERS = { ordinary: 4 * MIB, large: 32 * MIB } as const;
const LARGE = ", large send buffers";

/** The same as bulk over a long way. */
export const far: Suite = {
  id: "far",
  title: "Bulk, SSH target 100 ms away",
  about: `As above, with a delay line of ${ROUND_TRIP_MS} ms round trip (two TUN devices, MTU 9000) between jump host and target.
By default Linux lets a TCP connection have 4 MiB under way at most (\`net.ipv4.tcp_wmem\`; sshd fills two thirds of it): 28 MB/s at that distance,
whoever receives. "Large send buffers" is the same with 32 MiB on the target.`,
  ways,
  metrics: ["rate", "peakRss"],
  rounds: 3,
  run: async (context) => {
    const { bench, isQuick } = context;
    const { jump, lab } = bench;
    await using _line = await DelayLine.between(jump, lab.target, ROUND_TRIP_MS);
    const cases = bulkCases(isQuick ? [1] : [1, 4]);
    // TCP needs some round trips until it is up to speed.
    const times = isQuick ? { warmUpMs: 1000, measureMs: 500 } : { warmUpMs: 2500, measureMs: 2000 };
    const measureAll = (names: readonly string[]) =>
      measureRunning(context, ways, names, (running, name) => {
        const wanted = cases.get(name.replace(LARGE, ""));
        if (wanted === undefined) throw new Error(`no case ${name}`);
        return measureBulk(bench, running, wanted, times);
      });
    // A connection keeps what it was once given: each setting has forwarders of its own.
    const samples: Sample[] = [];
    await setSendBuffers(lab.target, SEND_BUFFERS.ordinary);
    samples.push(...(await measureAll([...cases.keys()])));
    await setSendBuffers(lab.target, SEND_BUFFERS.large);
    const downloads = [...cases.keys()].filter((name) => name.startsWith("download"));
    samples.push(...(await measureAll(downloads.map((name) => `${name}${LARGE}`))));
    await setSendBuffers(lab.target, SEND_BUFFERS.ordinary);
    return samples;
  },
};

async function setSendBuffers(host: Host, most: number): Promise<void> {
  await host.run(["sysctl", "-q", "-w", `net.ipv4.tcp_wmem=4096 16384 ${most}`]);
}

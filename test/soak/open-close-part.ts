import type { SessionUsage } from "../scale/measured-session.ts";
import { runShortRelays, type ShortRelaysSight } from "../scale/run-short-relays.ts";
import { whatStays } from "../scale/what-stays.ts";
import { describeUsage } from "../support/process-usage.ts";
import { measureTargets, processTable, type TargetReport } from "./measure-targets.ts";
import type { SoakPart } from "./part.ts";

const CONNECTIONS = 100_000;
const WARM_UP = 10_000;
const PER_SECOND = 300;
const SETTLE = { withinMs: 90_000, restMs: 31_500 };

interface Report extends TargetReport {
  readonly warm: SessionUsage;
  readonly halfway: SessionUsage;
  readonly after: SessionUsage;
  readonly sight: ShortRelaysSight;
}

/**
 * 100,000 connections to a TCP target and as many to an SSH target, opened and closed in every way a client has, at a rate that leaves
 * the machine room. `scale` makes them fewer.
 */
export const openClosePart: SoakPart = async ({ seed, scale, say }) => {
  const count = Math.ceil(CONNECTIONS * scale);
  const warmUp = Math.ceil(WARM_UP * Math.min(scale, 1));
  const measured = await measureTargets<Report>(
    async ({ lab, session, fresh }) => {
      const { kind } = session;
      const common = { lab, session, perSecond: PER_SECOND };
      await runShortRelays({ ...common, count: warmUp, seed: seed + 1 });
      const warm = await session.settled(fresh, SETTLE);
      say(`${kind}: warmed up`);
      let halfway: Promise<SessionUsage> | undefined;
      const sight = await runShortRelays({
        ...common,
        ...{ count, seed },
        onSight: ({ done }) => {
          if (done % 10_000 === 0) say(`${kind}: ${done} connections`);
          if (done >= count / 2) halfway ??= session.usage();
        },
      });
      const after = await session.settled(warm, SETTLE);
      const problems = [
        ...(sight.failed === 0 ? [] : [`${sight.failed} failed: ${sight.failures.join("; ")}`]),
        ...whatStays(warm, after),
      ].map((problem) => `${kind}: ${problem}`);
      return { warm, after, sight, problems, halfway: (await halfway) ?? after };
    },
    // Ports of closed connections are held for a minute: more are needed than there are by default.
    async ({ jump }) => {
      await jump.run(["sh", "-c", "echo 1025 65000 > /proc/sys/net/ipv4/ip_local_port_range"]);
    },
  );
  const total = (way: "answered" | "reset" | "dropped" | "silent"): string =>
    measured.reduce((sum, { sight }) => sum + sight[way], 0).toLocaleString("en");
  const columns = ["fresh", "warmed up", "halfway, under load", "all closed"];
  const table = [
    `${count.toLocaleString("en")} connections to each target at ${PER_SECOND} a second, after ${warmUp.toLocaleString("en")} to warm up. Of all, ${total("answered")} were answered and`,
    `ended in order, ${total("dropped")} reset after the answer, ${total("reset")} before it, ${total("silent")} closed without a byte. Resident memory, descriptors.`,
    "",
    ...processTable(columns, measured, ({ fresh, warm, halfway, after }, process) =>
      [fresh, warm, halfway, after].map((usage) => describeUsage(usage[process])),
    ),
  ].join("\n");
  return {
    problems: measured.flatMap(({ problems }) => problems),
    table,
    page: { path: "docs/reliability.md", kind: "place" },
  };
};

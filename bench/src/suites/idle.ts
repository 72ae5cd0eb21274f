import { farsideSsh, farsideTcp } from "../forwarders/farside.ts";
import type { Forwarder } from "../forwarders/forwarder.ts";
import { asyncSsh, ssh } from "../forwarders/ssh-forwarders.ts";
import { haproxy, naivePipe, socat } from "../forwarders/tcp-forwarders.ts";
import { Load, numberOf } from "../lab/load.ts";
import { forgetClosedConnections } from "../lab/ordinary-network.ts";
import { memoryMegabytes } from "../lab/processes.ts";
import { interleave } from "./interleave.ts";
import type { Suite } from "./suite.ts";

const OPEN_TIMEOUT_MS = 300_000;

interface IdleCase {
  readonly count: number;
  readonly inFlight: number;
}

const fewCases = new Map<string, IdleCase>([["1,000, 64 at a time", { count: 1000, inFlight: 64 }]]);
const manyCases = new Map<string, IdleCase>([["5,000, 64 at a time", { count: 5000, inFlight: 64 }]]);
/** Minutes where each connection costs more than the one before: measured once. */
const slowCases = new Map<string, IdleCase>([["5,000, one at a time", { count: 5000, inFlight: 1 }]]);

/** Names of ways that don't get that many, and why. */
export type Exceptions = ReadonlyMap<string, string>;

function idleSuite(
  id: string,
  title: string,
  ways: readonly [Forwarder, ...Forwarder[]],
  onlySmall: Exceptions,
): Suite {
  const reasons = [...onlySmall.values()].map((reason) => ` ${reason}`).join("");
  return {
    id,
    title,
    about: `Connections are opened, one byte goes there and back over each, and then all of them stay open and silent. Memory is
read then. The forwarder is started anew for each measurement. One at a time is measured in one round only.${reasons}`,
    ways,
    metrics: ["openSeconds", "rss"],
    rounds: 2,
    run: (context) => {
      const { bench, isQuick, rounds, progress } = context;
      const cases = new Map([...fewCases, ...(isQuick ? [] : [...manyCases, ...slowCases])]);
      return interleave({
        ways: isQuick ? ways.slice(0, 2) : ways,
        cases: [...cases.keys()],
        rounds,
        progress,
        measure: async (way, name, round) => {
          const { count, inFlight } = cases.get(name) ?? { count: 0, inFlight: 0 };
          if (onlySmall.has(way.name) && !fewCases.has(name)) return undefined;
          if (slowCases.has(name) && round > 0) return undefined;
          await forgetClosedConnections([bench.jump, bench.lab.target]);
          await using running = await way.start(bench);
          await using load = new Load(bench.jump, running.address, ["hold", count, inFlight]);
          const open = await load.next("open", OPEN_TIMEOUT_MS);
          const failed = numberOf(open, "failed");
          if (failed > 0) progress(`${failed} connections failed`);
          return {
            openSeconds: numberOf(open, "seconds"),
            rss: await memoryMegabytes(await running.pids()),
          };
        },
      });
    },
  };
}

export const idleTcp = idleSuite(
  "idle-tcp",
  "Many idle connections, TCP target",
  [farsideTcp, socat, haproxy, naivePipe],
  new Map([[socat.name, "socat, a process for each connection, gets 1,000 only."]]),
);
export const idleSsh = idleSuite(
  "idle-ssh",
  "Many idle connections, SSH target",
  [farsideSsh, ssh, asyncSsh],
  new Map([[asyncSsh.name, "AsyncSSH gets 1,000 only, to keep the run short."]]),
);

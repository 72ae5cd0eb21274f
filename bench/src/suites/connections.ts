import { farsideSsh, farsideTcp } from "../forwarders/farside.ts";
import type { Forwarder } from "../forwarders/forwarder.ts";
import { asyncSsh, ssh } from "../forwarders/ssh-forwarders.ts";
import { direct, haproxy, naivePipe, socat } from "../forwarders/tcp-forwarders.ts";
import { Load, numberOf } from "../lab/load.ts";
import { forgetClosedConnections } from "../lab/ordinary-network.ts";
import { measureRunning } from "./on-running.ts";
import type { Suite } from "./suite.ts";

const inFlight = new Map([
  ["1 at a time", 1],
  ["32 at a time", 32],
]);

function connectionSuite(id: string, title: string, ways: readonly [Forwarder, ...Forwarder[]]): Suite {
  return {
    id,
    title,
    about: `Connect, one byte to the service and back, close, again. A connection that fails is not counted. What the kernel
remembers of closed connections is cleared before each measurement; those of the measurement itself stay.`,
    ways,
    metrics: ["perSecond"],
    rounds: 5,
    run: (context) => {
      const { bench, isQuick } = context;
      const [warmUpMs, measureMs] = isQuick ? [100, 250] : [200, 1000];
      return measureRunning(context, ways, [...inFlight.keys()], async (running, name) => {
        await forgetClosedConnections([bench.jump, bench.lab.target]);
        const command = ["connect", inFlight.get(name) ?? 1, warmUpMs, measureMs];
        await using load = new Load(bench.jump, running.address, command);
        const done = await load.next("done", measureMs + 20_000);
        const failed = numberOf(done, "failed");
        if (failed > 0) context.progress(`${failed} connections failed`);
        return { perSecond: numberOf(done, "perSecond") };
      });
    },
  };
}

export const connectionsTcp = connectionSuite("connections-tcp", "New connections, TCP target", [
  farsideTcp,
  ...[socat, haproxy, naivePipe, direct],
]);
export const connectionsSsh = connectionSuite("connections-ssh", "New connections, SSH target", [
  farsideSsh,
  ...[ssh, asyncSsh],
]);

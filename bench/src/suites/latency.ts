import { farsideSsh, farsideTcp } from "../forwarders/farside.ts";
import type { Forwarder } from "../forwarders/forwarder.ts";
import { asyncSsh, ssh, sshGcm } from "../forwarders/ssh-forwarders.ts";
import { direct, haproxy, naivePipe, socat } from "../forwarders/tcp-forwarders.ts";
import { Load, numberOf } from "../lab/load.ts";
import { measureRunning } from "./on-running.ts";
import type { Suite } from "./suite.ts";

const CASE = "64 bytes";

function latencySuite(id: string, title: string, ways: readonly [Forwarder, ...Forwarder[]]): Suite {
  return {
    id,
    title,
    about: "64 bytes to the service and back over one open connection, again and again.",
    ways,
    metrics: ["p50", "p99", "p999"],
    rounds: 5,
    run: (context) => {
      const [warmUpMs, measureMs] = context.isQuick ? [100, 250] : [200, 1000];
      return measureRunning(context, ways, [CASE], async (running) => {
        await using load = new Load(context.bench.jump, running.address, ["echo", 64, warmUpMs, measureMs]);
        const done = await load.next("done", measureMs + 20_000);
        return { p50: numberOf(done, "p50"), p99: numberOf(done, "p99"), p999: numberOf(done, "p999") };
      });
    },
  };
}

export const latencyTcp = latencySuite("latency-tcp", "Round trip of 64 bytes, TCP target", [
  farsideTcp,
  ...[socat, haproxy, naivePipe, direct],
]);
export const latencySsh = latencySuite("latency-ssh", "Round trip of 64 bytes, SSH target", [
  farsideSsh,
  ...[ssh, sshGcm, asyncSsh],
]);

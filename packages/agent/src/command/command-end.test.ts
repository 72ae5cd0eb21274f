import { renewLease, signalCommand, stopAgent } from "@farside/protocol";
import { describe, expect, test } from "vitest";
import {
  type CommandBench,
  DEAF,
  expectNothingLeft,
  marked,
  useCommandBench,
} from "../testing/command-bench.ts";
import { within } from "../testing/within.ts";

const startBench = useCommandBench();

describe("the end of a command", () => {
  const tree = `(setsid sh -c '${DEAF.replaceAll("'", `'\\''`)}' &) ; ${DEAF}`;

  test("comes with agent.stop: SIGTERM, and SIGKILL after the grace", async () => {
    await using bench = await startBench();
    const { ended } = bench.sh(tree);
    await bench.says(/up\nup/);
    const startedAt = performance.now();
    await bench.agent.peer.request(stopAgent, { graceMs: 400 });
    expect(performance.now() - startedAt).toBeGreaterThan(390);
    expect(await ended).toEqual({ exitCode: 137, signal: "SIGKILL" });
    await bench.agent.exit();
    expect(marked()).toEqual([]);
  });

  test("comes sooner with a second stop without grace", async () => {
    await using bench = await startBench();
    bench.sh(DEAF);
    await bench.says(/up/);
    const stopped = bench.agent.peer.request(stopAgent, { graceMs: 60_000 });
    await bench.agent.peer.request(stopAgent, { graceMs: 0 });
    await within(stopped, () => "the first stop was not answered");
    await bench.agent.exit();
    expect(marked()).toEqual([]);
  });

  test("is its own with agent.stop, and what it says then is delivered", async () => {
    await using bench = await startBench();
    const { ended } = bench.sh("trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done");
    await bench.says(/up/);
    await bench.agent.peer.request(stopAgent, { graceMs: 5_000 });
    expect(await ended).toEqual({ exitCode: 5 });
    expect(bench.stdout).toBe("up\nbye\n");
  });

  test.each([
    ["the end of stdin", (bench: CommandBench) => void bench.agent.child.stdin.end()],
    ["SIGTERM to the agent", (bench: CommandBench) => void bench.agent.child.kill("SIGTERM")],
    [
      "a broken protocol",
      (bench: CommandBench) => void bench.agent.child.stdin.write(Buffer.from([0, 0, 0, 1, 0xc1])),
    ],
  ])("comes with %s", async (_, end) => {
    await using bench = await startBench();
    bench.sh(tree);
    await bench.says(/up\nup/);
    end(bench);
    await bench.agent.exit();
    await expectNothingLeft();
  });

  test("comes with an expired lease", async () => {
    await using bench = await startBench({ hello: { leaseMs: 2500 } });
    const renewing = setInterval(() => void bench.agent.peer.request(renewLease, {}).catch(() => {}), 300);
    bench.sh(tree);
    await bench.says(/up\nup/);
    clearInterval(renewing);
    await bench.agent.exit();
    expect(bench.agent.endReason).toBe("lease-expired");
    await expectNothingLeft();
  });

  test("comes with a cancel of the request: SIGKILL", async () => {
    await using bench = await startBench();
    const cancel = new AbortController();
    const { ended } = bench.sh(tree, {}, cancel.signal);
    await bench.says(/up\nup/);
    cancel.abort(new Error("enough"));
    await expect(ended).rejects.toThrow("enough");
    await expectNothingLeft();
  });

  test("comes with a signal, to its group alone", async () => {
    await using bench = await startBench();
    const { commandId, ended } = bench.sh(
      "trap 'echo int; exit 9' INT; echo up; while :; do sleep 0.05; done",
    );
    await bench.says(/up/);
    await bench.agent.peer.request(signalCommand, { commandId, signal: "SIGINT" });
    expect(await ended).toEqual({ exitCode: 9 });
    expect(bench.stdout).toBe("up\nint\n");
  });
});

import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import { describeLab } from "./support/describe-lab.ts";
import { expectError } from "./support/expect-error.ts";
import { type FarsideRun, JUMP_LOGIN, runFarside } from "./support/farside.ts";
import { expectNothingLeft } from "./support/leftovers.ts";
import { waitFor } from "./support/wait-for.ts";

describeLab("a port that a farside agent holds", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab();
  });
  afterAll(() => lab.close());
  beforeEach(() => lab.jump.mark());

  /** `workstation`: whose sessions it knows of. */
  const forward = (
    options: readonly string[] = [],
    workstation = "one",
    spec = "4444:localhost:9",
  ): FarsideRun =>
    runFarside(lab, ["forward", JUMP_LOGIN, "-L", spec, ...options], {
      env: { XDG_STATE_HOME: `/root/state-${workstation}` },
    });
  const onJump = (command: string, pid: number) => lab.jump.run(["kill", `-${command}`, String(pid)]);
  const agentOf = async (run: FarsideRun) => (await run.waitForEvent("agent.ready")).pid;
  const takenBy = (run: FarsideRun) => run.waitForEvent("forward.taken-over");

  test("is free again after kill -9 of farside, its lease still running, even where the agent hangs", async () => {
    await using first = forward(["--lease", "1h"]);
    await first.ready();
    const pid = await agentOf(first);
    await onJump("STOP", pid);
    await first.signal("SIGKILL");
    await first.exit;
    await using second = forward();
    await second.ready();
    const session = (await first.ready()).session;
    expect(await takenBy(second)).toMatchObject({ session, pid, reason: "orchestrator-gone" });
    expect((await second.end()).receipt).toMatchObject({ clean: true });
    await expectNothingLeft(lab.jump);
  });

  test("is free again at once after kill -9 of farside, whose agent ends by itself", async () => {
    await using first = forward();
    await first.ready();
    await first.signal("SIGKILL");
    await using second = forward();
    await second.ready();
    await second.end();
    await expectNothingLeft(lab.jump);
  });

  test("stays with a live session, which the error names; --take-over takes it, and the other says why it ended", async () => {
    await using first = forward(["--name", "first"]);
    await first.ready();
    await using second = forward([], "two");
    await expectError(second, { code: "forward.port-in-use", leg: "bind", says: /farside-agent first/ });
    await using third = forward(["--take-over"], "two");
    await third.ready();
    expect(await takenBy(third)).toMatchObject({ session: "first", reason: "forced" });
    expect((await first.exit).code, first.transcript).toBe(69);
    expect(first.of("error")).toMatchObject([{ code: "agent.gone" }]);
    // Its port is another one's now, and nothing of its own.
    expect(first.of("receipt"), first.transcript).toMatchObject([{ clean: true, listeners: [] }]);
    await third.end();
    await expectNothingLeft(lab.jump);
  });

  test("is taken over by a session of the same name on another workstation", async () => {
    await using first = forward(["--name", "nightly"]);
    await first.ready();
    await using second = forward(["--name", "nightly"], "two");
    await second.ready();
    expect(await takenBy(second)).toMatchObject({ session: "nightly", reason: "same-name" });
    expect((await first.exit).code).toBe(69);
    await second.end();
    await expectNothingLeft(lab.jump);
  });

  test("is taken over from an agent that is stopped beyond its lease, whoever it was started by", async () => {
    await using first = forward(["--lease", "2"]);
    await first.ready();
    const pid = await agentOf(first);
    await onJump("STOP", pid);
    await first.signal("SIGKILL");
    await first.exit;
    let last: FarsideRun | undefined;
    await waitFor(
      async () => {
        last = forward([], "two");
        return last.ready().then(
          () => true,
          () => false,
        );
      },
      { what: "the port", withinMs: 20_000 },
    );
    if (last === undefined) throw new Error("nothing was started");
    expect(await takenBy(last)).toMatchObject({ pid, reason: "lease-over" });
    await last.end();
    await expectNothingLeft(lab.jump);
  });

  test("for its metrics is taken over from a session whose farside was killed, not from a live one", async () => {
    const metrics = ["--reattach", "--metrics-port", "9100"];
    await using first = forward([...metrics, "--name", "first", "--lease", "1h"], "one", "0:localhost:9");
    await first.ready();
    await using second = forward(metrics, "two");
    await expectError(second, {
      ...{ code: "forward.port-in-use", leg: "bind" },
      ...{ says: /the port for metrics.*9100.*farside-agent first/, hint: /--take-over/ },
    });
    expect(second.of("receipt")).toMatchObject([{ clean: true }]);
    await first.signal("SIGKILL");
    await first.exit;
    await using third = forward(metrics);
    await third.ready();
    const taken = { forward: "metrics", session: "first", reason: "orchestrator-gone" };
    expect(await takenBy(third)).toMatchObject(taken);
    const answer = 'fetch("http://localhost:9100/healthz").then(({ status }) => console.log(status))';
    expect(await lab.jump.run(["node", "-e", answer], { user: "builder" })).toBe("200\n");
    await third.end();
    await expectNothingLeft(lab.jump);
  });

  test("that a command of `run` holds is nobody's to take, forced or not", async () => {
    const serve = 'require("net").createServer().listen(4444, "127.0.0.1", () => console.log("up"))';
    await using run = runFarside(
      lab,
      ["run", JUMP_LOGIN, "--name", "job", "-L", "0:localhost:9", "--", "node", "-e", serve],
      { json: false },
    );
    await waitFor(() => run.process.stdout.includes("up"), {
      what: "the command",
      detail: () => run.transcript,
    });
    await using second = forward(["--take-over", "--name", "job"], "two");
    await expectError(second, { code: "forward.port-in-use", says: /node/ });
    await run.signal("SIGTERM");
    await run.exit;
    await expectNothingLeft(lab.jump);
  });

  test("and a socket whose listener was killed are taken over", async () => {
    const path = "/tmp/stale.sock";
    const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
    await lab.jump.exec(["node", "-e", script], { user: "builder" });
    await using farside = forward([], "one", `${path}:localhost:9`);
    await farside.ready();
    const taken = await takenBy(farside);
    expect([taken.address, taken.reason, taken.session]).toEqual([path, "stale-socket", undefined]);
    expect((await farside.end()).receipt).toMatchObject({ clean: true });
    await expectNothingLeft(lab.jump);
  });
});

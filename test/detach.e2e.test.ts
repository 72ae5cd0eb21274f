import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import { isListening } from "./lab/proc-net.ts";
import { farsideAgent } from "./support/agent-cli.ts";
import { holdConnection } from "./support/byte-traffic.ts";
import { describeLab } from "./support/describe-lab.ts";
import { startEcho } from "./support/echo-service.ts";
import { type FarsideOptions, type FarsideRun, JUMP_LOGIN, mainJob, runFarside } from "./support/farside.ts";
import { killAtRandom } from "./support/kill-at-random.ts";
import { expectNothingLeft } from "./support/leftovers.ts";
import { waitFor } from "./support/wait-for.ts";

const GRACE_S = 4;
/** Long enough for an orchestrator that is held up for a moment, and over before it is looked whether the session goes on. */
const LEASE_S = 4;

describeLab("what outlives farside", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab();
    await startEcho(lab.target, 4444);
  });
  afterAll(() => lab.close());
  beforeEach(() => lab.jump.mark());

  const run = async (args: readonly string[], options: FarsideOptions = {}): Promise<FarsideRun> => {
    const farside = runFarside(lab, args, { json: false, ...options });
    await farside.exit;
    return farside;
  };
  const status = async (): Promise<unknown[]> => {
    const { process } = await run(["status", "--json"], { pin: false });
    return process.stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  };

  test("--detach leaves a session that goes on, is shown, and ends by its name", async () => {
    const times = ["--ttl", "5m", "--lease", String(LEASE_S), "--grace", String(GRACE_S)];
    const started = await run([...mainJob(), "--detach", "--name", "left", ...times]);
    const leftAt = performance.now();
    expect((await started.exit).code, started.transcript).toBe(0);
    expect(started.process.stdout).toBe("left\n");
    const client = await holdConnection(lab.jump, 4444);
    expect(await status()).toMatchObject([{ session: "left", phase: "detached", host: JUMP_LOGIN }]);
    const slow = await holdConnection(lab.jump, 4444);
    const logs = await farsideAgent(lab, "logs", "--session", "left");
    expect(logs.stdout, logs.transcript).toContain('"message":"an orchestrator attached"');
    await wait(Math.max(0, leftAt + LEASE_S * 1_000 + 500 - performance.now()));
    expect([client.hasEnded, slow.hasEnded], "it goes on without a lease").toEqual([false, false]);
    const ended = runFarside(lab, ["teardown", "left"], { json: false });
    await waitFor(async () => !(await isListening(lab.jump.initPid, 4444)), {
      what: "the listener's end",
      detail: () => ended.transcript,
    });
    const closedAt = performance.now();
    expect([client.hasEnded, slow.hasEnded], "relays have their grace").toEqual([false, false]);
    client.stdin.end();
    await client.exit;
    expect(client.stdout).not.toContain("ECONNRESET");
    expect(slow.hasEnded).toBe(false);
    await slow.exit;
    expect(slow.stdout).toContain("ECONNRESET");
    // Less what it took to see the listener's end, and the client's; without the grace it would be cut after 0.8 s.
    expect(performance.now() - closedAt).toBeGreaterThan(1_200);
    expect((await ended.exit).code, ended.transcript).toBe(0);
    expect(ended.process.stderr).toContain("nothing left");
    expect(await status()).toEqual([]);
    await expectNothingLeft(lab.jump);
  });

  test("--detach without a ttl is a mistake; one that is not ready is no session", async () => {
    const endless = await run([...mainJob(), "--detach"]);
    expect((await endless.exit).code, endless.transcript).toBe(64);
    const taken = await run(["forward", JUMP_LOGIN, "-L", "22:localhost:1", "--detach", "--ttl", "60"]);
    expect((await taken.exit).code, taken.transcript).toBe(69);
    expect(taken.process.stdout).toBe("");
    await expectNothingLeft(lab.jump);
  });

  test("teardown --host ends what any workstation has left on a host, and nothing that is installed there", async () => {
    // What this workstation knows of it is nothing: the state is another's.
    const elsewhere = { env: { XDG_STATE_HOME: "/root/elsewhere" }, json: true };
    const farside = runFarside(
      lab,
      [...mainJob(), "--reattach", "--lease", "10m", "--grace", "1"],
      elsewhere,
    );
    await farside.ready();
    const client = await holdConnection(lab.jump, 4444);
    await farside.signal("SIGKILL");
    await farside.exit;
    const run32 = "0123456789abcdef0123456789abcdef";
    const record = `mkdir -p .local/share/farside/x && echo '{"run":"${run32}"}' > .local/share/farside/x/install.json`;
    await lab.jump.run(["sh", "-c", record], { user: "builder" });
    const installed = lab.jump.spawn(["sleep", "60"], { user: "builder", env: { FARSIDE_RUN: run32 } });
    const sweep = () => run(["teardown", "--host", JUMP_LOGIN, "--json"]);
    for (const ended of [await sweep(), await sweep()]) {
      expect((await ended.exit).code, ended.transcript).toBe(0);
      expect(JSON.parse(ended.process.stdout)).toMatchObject({ session: "*", host: JUMP_LOGIN, clean: true });
    }
    await client.exit;
    expect(installed.hasEnded).toBe(false);
    await installed.kill();
    await lab.jump.run(["rm", "-rf", "/home/builder/.local"]);
    await expectNothingLeft(lab.jump);
  });

  test("teardown --all cleans up after sessions whose farside was killed at random moments", async () => {
    const { problems } = await killAtRandom(lab, { sessions: 5, seed: Date.now() % 1_000_000, alongside: 5 });
    expect(problems).toEqual([]);
    expect(await status()).toEqual([]);
    await expectNothingLeft(lab.jump);
  });
});

import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import { holdConnection } from "./support/byte-traffic.ts";
import { describeLab } from "./support/describe-lab.ts";
import { startEcho } from "./support/echo-service.ts";
import { cliPath, type FarsideRun, mainJob, runFarside } from "./support/farside.ts";
import { expectNothingLeft } from "./support/leftovers.ts";
import { machinePid } from "./support/machine-pid.ts";
import { CTRL_C, Terminal } from "./support/pty.ts";
import { Trace } from "./support/strace.ts";
import { waitFor } from "./support/wait-for.ts";

const GRACE_S = 2;
const LEASE_S = 3;

describeLab("nothing is left on the jump host", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab();
    await startEcho(lab.target, 4444);
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await waitFor(() => lab.card.counters().then(({ present }) => present), { what: "the card" });
    await lab.jump.mark();
  });

  const start = async (...options: string[]): Promise<FarsideRun> => {
    const farside = runFarside(lab, [...mainJob(), ...options]);
    await farside.ready();
    return farside;
  };

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`after ${signal} without an open relay: exit 0 and a clean receipt within 5 s`, async () => {
      await using farside = await start();
      const { exit, receipt, ms } = await farside.end(signal);
      expect(exit, farside.transcript).toEqual({ code: 0, signal: null });
      expect(receipt).toMatchObject({ clean: true, processes: [], listeners: [], files: [] });
      expect(ms).toBeLessThan(5_000);
      await expectNothingLeft(lab.jump);
    });

    test(`after ${signal} with open relays: exit 0 and a clean receipt within grace + 5 s`, async () => {
      await using farside = await start("--grace", String(GRACE_S));
      const clients = await Promise.all([1, 2, 3].map(() => holdConnection(lab.jump, 4444)));
      const { exit, receipt, ms } = await farside.end(signal);
      expect(exit, farside.transcript).toEqual({ code: 0, signal: null });
      expect(receipt).toMatchObject({ clean: true, processes: [], listeners: [], files: [] });
      expect(ms).toBeGreaterThan(GRACE_S * 1000 - 200);
      expect(ms).toBeLessThan(GRACE_S * 1000 + 5_000);
      // The clients see the end of their connections.
      await Promise.all(clients.map((client) => client.exit));
      await expectNothingLeft(lab.jump);
    });
  }

  test("a relay that ends within the grace is let finish, and teardown does not wait longer", async () => {
    await using farside = await start("--grace", "60");
    const client = await holdConnection(lab.jump, 4444);
    const ending = farside.end();
    await waitFor(async () => !(await lab.jump.residue()).listeners.length, { what: "the listener's end" });
    expect(client.hasEnded).toBe(false);
    client.stdin.end();
    const { exit, ms } = await ending;
    expect(exit.code).toBe(0);
    expect(ms).toBeLessThan(20_000);
    await client.exit;
    await expectNothingLeft(lab.jump);
  });

  for (const relays of [0, 3]) {
    test(`after kill -9 of farside with ${relays} open relays: within 5 s`, async () => {
      await using farside = await start();
      const clients = await Promise.all(Array.from({ length: relays }, () => holdConnection(lab.jump, 4444)));
      await farside.signal("SIGKILL");
      await farside.exit;
      await expectNothingLeft(lab.jump);
      await Promise.all(clients.map((client) => client.exit));
      await expectNoFarside(lab);
    });
  }

  test("after a cut link, without and with open relays: within lease + 5 s", async () => {
    // At the same time: each waits out its lease.
    await using idle = await start("--lease", String(LEASE_S));
    await using busy = runFarside(lab, [...mainJob(4445), "--lease", String(LEASE_S)]);
    await busy.ready();
    const clients = await Promise.all([1, 2, 3].map(() => holdConnection(lab.jump, 4445)));
    await lab.cutWorkstationLink();
    try {
      await expectNothingLeft(lab.jump, LEASE_S * 1000 + 5_000);
      await Promise.all(clients.map((client) => client.exit));
      // farside itself says that the session was lost, and ends.
      for (const farside of [idle, busy]) {
        const exit = await farside.exit;
        expect([69, 75], farside.transcript).toContain(exit.code);
      }
    } finally {
      await lab.restoreWorkstationLink();
    }
  });

  test("after packets are swallowed without a word: within lease + 5 s", async () => {
    await using farside = await start("--lease", String(LEASE_S));
    await lab.blackholeWorkstationLink();
    try {
      await expectNothingLeft(lab.jump, LEASE_S * 1000 + 5_000);
    } finally {
      await lab.endBlackhole();
    }
    expect([69, 75], farside.transcript).toContain((await farside.exit).code);
  });

  test("after an interrupt before it is ready: exit 130", async () => {
    // No signature comes before the interrupt.
    await lab.card.setDelay(30_000);
    try {
      await using farside = runFarside(lab, mainJob());
      await waitFor(async () => (await lab.jump.residue()).processes.length > 0, { what: "a login" });
      await farside.signal("SIGINT");
      // Who waits for one that is under way has it now.
      await lab.card.setDelay(0);
      expect((await farside.exit).code, farside.transcript).toBe(130);
      await expectNothingLeft(lab.jump);
    } finally {
      await lab.card.setDelay(0);
    }
  });

  test("one Ctrl-C in a terminal, passed on once more as npm does, is one graceful teardown", async () => {
    const command = `node ${cliPath} ${mainJob().join(" ")} --grace ${GRACE_S}`;
    await using terminal = Terminal.start(lab, command);
    await terminal.waitForText(/PIN/);
    terminal.type(`${lab.card.pin}\r`);
    await terminal.waitForText(/ready: session/);
    const client = await holdConnection(lab.jump, 4444);
    const find = ["pgrep", "--oldest", "--full", "^node .*/cli/dist/main.js"];
    const pid = await machinePid(lab.workstation, Number(await lab.workstation.run(find)));
    const stopped = performance.now();
    terminal.type(CTRL_C);
    // At once: a second later it is another one.
    process.kill(pid, "SIGINT");
    const { code } = await terminal.exit;
    const ms = performance.now() - stopped;
    expect(code, terminal.text).toBe(0);
    expect(ms).toBeGreaterThan(GRACE_S * 1000 - 200);
    expect(ms).toBeLessThan(GRACE_S * 1000 + 5_000);
    await client.exit;
    await expectNothingLeft(lab.jump);
  });

  test("a second signal more than a second after the first ends the grace at once", async () => {
    await using farside = await start("--grace", "60");
    const client = await holdConnection(lab.jump, 4444);
    const started = performance.now();
    await farside.signal("SIGINT");
    // The first has been taken.
    await waitFor(async () => !(await lab.jump.residue()).listeners.length, { what: "the listener's end" });
    const taken = performance.now();
    await waitFor(() => performance.now() - taken > 1_050, { what: "more than a second" });
    const { exit, receipt } = await farside.end("SIGINT");
    expect(exit.code, farside.transcript).toBe(0);
    expect(receipt?.clean).toBe(true);
    expect(performance.now() - started).toBeLessThan(20_000);
    await client.exit;
    await expectNothingLeft(lab.jump);
  });

  test("`farside teardown` says how long it may take, and whoever does not wait for it leaves it going; once more, it ends at once", async () => {
    await using farside = await start("--grace", "60", "--name", "slow");
    const client = await holdConnection(lab.jump, 4444);
    const started = performance.now();
    const waiting = lab.workstation.spawn(["node", cliPath, "teardown", "slow"]);
    await waitFor(() => waiting.stderr.includes("ending slow: 1 open connection has up to 60 s"), {
      ...{ what: "the grace", detail: () => waiting.stderr },
    });
    await waiting.signal("SIGINT");
    expect((await waiting.exit).code).toBe(130);
    expect(waiting.stderr).toMatch(
      /error\[canceled\]: tearing down slow: .*it goes on.*60 s\nhint: .*once more/,
    );
    expect([farside.process.hasEnded, client.hasEnded]).toEqual([false, false]);
    const again = await lab.workstation.exec(["node", cliPath, "teardown", "--json", "slow"]);
    expect([again.code, JSON.parse(again.stdout)]).toEqual([0, expect.objectContaining({ clean: true })]);
    expect(performance.now() - started).toBeLessThan(40_000);
    expect((await farside.exit).code, farside.transcript).toBe(0);
    await client.exit;
    await expectNothingLeft(lab.jump);
  });

  test("no process of the login creates a file or opens one for writing", async () => {
    const trace = await Trace.ofLoginsTo(lab, lab.jump);
    const farside = runFarside(lab, mainJob());
    await farside.ready();
    const client = await holdConnection(lab.jump, 4444);
    client.stdin.end();
    await client.exit;
    const { exit } = await farside.end();
    expect(exit.code).toBe(0);
    expect(await trace.stop()).toEqual([]);
  });
});

/** Nothing of farside runs on the workstation: the card's process goes with it. */
async function expectNoFarside(lab: Lab): Promise<void> {
  await waitFor(async () => (await lab.workstation.exec(["pgrep", "-f", "packages/"])).code !== 0, {
    what: "the end of farside's processes on the workstation",
  });
  expect((await lab.workstation.exec(["pgrep", "-af", "packages/"])).stdout).toBe("");
}

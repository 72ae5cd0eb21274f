import type { Check, CheckName } from "@farside/orchestrator";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import { startByteService } from "./support/byte-traffic.ts";
import { describeLab } from "./support/describe-lab.ts";
import { JUMP_LOGIN, runFarside, TARGET_LOGIN } from "./support/farside.ts";
import { hideNode } from "./support/hide-node.ts";
import { expectNothingLeft } from "./support/leftovers.ts";

const job = [
  ...["doctor", JUMP_LOGIN, "-L", "4444:localhost:4444", "--via", TARGET_LOGIN],
  ...["--metrics-port", "9100"],
];

describeLab("farside doctor", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab();
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await Promise.all([lab.jump.mark(), lab.target.mark(), lab.workstation.mark()]);
    await lab.card.resetCounters();
  });
  afterEach(async () => {
    await expectNothingLeft(lab.jump);
    const { files } = await lab.workstation.residue();
    // Neither a host key nor a session is written down.
    expect(files.filter((path) => /known_hosts|session\.json|undo/.test(path))).toEqual([]);
  });

  /** Runs it, and how it ended. */
  async function examine(args: readonly string[], options: Parameters<typeof runFarside>[2] = {}) {
    await using farside = runFarside(lab, args, options);
    const { code } = await farside.exit;
    const checks = farside.events as unknown as Check[];
    const of = (name: CheckName) => checks.filter(({ check }) => check === name);
    const failed = checks.filter(({ outcome }) => outcome === "failed");
    return { code, checks, of, failed, transcript: farside.transcript };
  }

  test("says of each thing that a forward needs that it is there, for one PIN and one signature a hop", async () => {
    await using service = await startByteService(lab.target, "4444", 5);
    const { code, checks, of, transcript } = await examine(job);
    expect(code, transcript).toBe(0);
    expect(new Set(checks.map(({ outcome }) => outcome)), transcript).toEqual(new Set(["ok"]));
    expect([...new Set(checks.map(({ check }) => check))]).toEqual([
      ...[
        "identity",
        "config",
        "login",
        "shell",
        "node",
        "sshd",
        "limits",
        "listen",
        "hop",
        "target",
        "left",
      ],
    ]);
    expect(of("identity")[0]?.text).toMatch(/"farside lab 9a".*key 01.*3 PIN tries left/);
    expect(of("login")[0]?.text).toMatch(/builder@172\.16\.16\.158.*SHA256:/);
    expect(of("listen").map(({ text }) => text)).toEqual([
      ...["localhost:4444 is free", "localhost:9100 is free, for metrics"],
    ]);
    expect(of("hop")[0]?.text).toContain(TARGET_LOGIN);
    expect(of("target")[0]?.text).toMatch(/^localhost:4444 answers from signer@172\.16\.16\.160/);
    const { verifies, signs } = await lab.card.counters();
    expect([verifies, Object.values(signs).reduce((sum, count) => sum + count, 0)]).toEqual([1, 2]);
    await service.kill();
  });

  test("tells every failure with its remedy, and exits with the first one's code", async () => {
    await using holder = await startByteService(lab.jump, "4444", 5);
    await using monitor = await startByteService(lab.jump, "9100", 5);
    const { code, of, failed, transcript } = await examine(job);
    expect(
      failed.map(({ check }) => check),
      transcript,
    ).toEqual(["listen", "listen", "target"]);
    for (const [at, port] of [4444, 9100].entries()) {
      expect(of("listen")[at]).toMatchObject({ code: "forward.port-in-use", leg: "bind" });
      expect(of("listen")[at]?.text).toMatch(new RegExp(`:${port}.*holds the port`));
    }
    expect(of("target")[0]).toMatchObject({ code: "target.unreachable", leg: "target" });
    for (const { hint } of failed) expect(hint).toBeTruthy();
    expect(code).toBe(69);
    await Promise.all([holder.kill(), monitor.kill()]);
  });

  test("stops where it can't go on, and says what it did not look at", async () => {
    await lab.card.setTries(1);
    const spared = await examine(job);
    expect(spared.failed).toMatchObject([{ check: "identity", code: "card.pin-last-try" }]);
    expect(spared.code).toBe(77);
    expect(await lab.card.counters()).toMatchObject({ verifies: 0, tries: 1 });
    await lab.card.setTries(3);

    await lab.jump.sshd.stop();
    const unreached = await examine(job);
    await lab.jump.sshd.start();
    await lab.jump.mark();
    expect(unreached.failed).toMatchObject([{ check: "login", code: "hop.unreachable", leg: "jump" }]);
    expect(unreached.checks.filter(({ outcome }) => outcome === "skipped").map(({ check }) => check)).toEqual(
      [...["shell", "node", "sshd", "listen", "hop", "target"]],
    );
    expect(unreached.code).toBe(69);
    expect(await lab.card.counters()).toMatchObject({ verifies: 0 });

    const unknown = await examine(["doctor", JUMP_LOGIN, "--known-hosts", "/dev/null"]);
    expect(unknown.failed).toMatchObject([{ check: "login", code: "host-key.unknown" }]);
    expect(unknown.code).toBe(77);
    expect(await lab.card.counters()).toMatchObject({ verifies: 0 });
  });

  test("without a Node.js says what a session would send, and sends nothing", async () => {
    const nodes = await hideNode(lab);
    const { code, of, transcript } = await examine([...job, "--runtime-file", process.execPath]);
    expect(of("node"), transcript).toMatchObject([
      { outcome: "warning", text: expect.stringMatching(/no Node\.js was found.*would send .*MB/) },
    ]);
    expect(of("target")).toMatchObject([{ outcome: "skipped" }]);
    expect(code).toBe(0);
    const never = await examine([...job, "--runtime", "never"]);
    expect(never.failed).toMatchObject([{ check: "node", code: "agent.no-runtime" }]);
    expect(never.code).toBe(69);
    await expectNothingLeft(lab.jump);
    await nodes.restore();
  });

  test("speaks to people, a line a check, with what the login prints and sshd forbids", async () => {
    await lab.jump.sshd.stop();
    await lab.jump.sshd.start(["AllowTcpForwarding no", "MaxSessions 1"]);
    await lab.jump.writeFile("/home/builder/.bashrc", "printf 'hello \\033[31mred'\n");
    await lab.jump.mark();
    await using farside = runFarside(lab, ["doctor", JUMP_LOGIN, "-L", "80:172.16.16.158:22"], {
      json: false,
    });
    const { code } = await farside.exit;
    const { stdout } = farside.process;
    expect(stdout, farside.transcript).toMatch(/^ok +login +builder@172\.16\.16\.158 answers/m);
    expect(stdout).toMatch(/^warning +shell +.*hello \\x1b\[31mred$/m);
    expect(stdout).toMatch(/^warning +sshd +.*forbids this login/m);
    expect(stdout).toMatch(/^ok +sshd +.*MaxSessions 1/m);
    expect(stdout).toMatch(/^FAILED +listen +\[forward\.bind-refused\].*:80.*permission denied\n +hint: /m);
    expect(stdout).toMatch(/^ok +target +172\.16\.16\.158:22 answers from builder@172\.16\.16\.158/m);
    expect(code).toBe(69);
    await lab.jump.run(["rm", "/home/builder/.bashrc"]);
    await lab.jump.sshd.stop();
    await lab.jump.sshd.start();
    await lab.jump.mark();
  });
});

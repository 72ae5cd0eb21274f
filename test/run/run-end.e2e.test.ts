import { describe, expect, test } from "vitest";
import { JUMP } from "../lab/lab.ts";
import { describeLab } from "../support/describe-lab.ts";
import { expectNothingLeft } from "../support/leftovers.ts";
import { waitFor } from "../support/wait-for.ts";
import { DEAF, ended, said, TREE, useRunLab } from "./use-run-lab.ts";

const LEASE_S = 3;

describeLab("the end of farside run", () => {
  const on = useRunLab();

  test("takes what the command has left behind with it, in its group and out of it", async () => {
    const { code, stdout, stderr } = await ended(
      on.sh(`(${DEAF}) & setsid sh -c "${DEAF}" & sleep 0.3; echo up; exit 5`),
    );
    expect([code, stdout], stderr).toEqual([5, "up\n"]);
    expect(stderr).toContain("nothing left");
    await expectNothingLeft(on.lab.jump);
  });

  test("passes the first signal on, and waits for the command's own end", async () => {
    const run = on.sh(
      "trap 'echo cleaning; sleep 1; echo done; exit 9' INT; echo up; while :; do sleep 0.1; done",
    );
    await said(run, "up");
    await run.signal("SIGINT");
    const { code, stdout, stderr } = await ended(run);
    expect([code, stdout], stderr).toEqual([9, "up\ncleaning\ndone\n"]);
    await expectNothingLeft(on.lab.jump);
  });

  test("exits with 130 or 143 where the signal ends the command", async () => {
    const codes: (number | null)[] = [];
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const run = on.sh("echo up; exec sleep 60");
      await said(run, "up");
      await run.signal(signal);
      codes.push((await ended(run)).code);
    }
    expect(codes).toEqual([130, 143]);
    await expectNothingLeft(on.lab.jump);
  });

  test("exits with 130 where it is interrupted before the command, which is then never run", async () => {
    // No signature comes before the interrupt.
    await on.lab.card.setDelay(30_000);
    try {
      const run = on.sh("echo up");
      await waitFor(async () => (await on.lab.jump.residue()).processes.length > 0, { what: "a login" });
      await run.signal("SIGINT");
      // Who waits for one that is under way has it now.
      await on.lab.card.setDelay(0);
      const { code, stdout, stderr } = await ended(run);
      expect([code, stdout], stderr).toEqual([130, ""]);
      await expectNothingLeft(on.lab.jump);
    } finally {
      await on.lab.card.setDelay(0);
    }
  });

  test("kills a command that ignores the signal when the grace is over", async () => {
    const run = on.sh(TREE, { options: ["--grace", "1"] });
    await said(run, "up");
    const startedAt = performance.now();
    await run.signal("SIGTERM");
    const { code, stderr } = await ended(run);
    expect(code, stderr).toBe(137);
    expect(performance.now() - startedAt).toBeGreaterThan(900);
    expect(performance.now() - startedAt).toBeLessThan(6_000);
    await expectNothingLeft(on.lab.jump);
  });

  test("kills it at once with a second signal", async () => {
    const script = `trap '' TERM HUP; trap 'echo first' INT; (${DEAF}) & echo up; while :; do sleep 0.2; done`;
    const run = on.sh(script, { options: ["--grace", "60"] });
    await said(run, "up");
    const startedAt = performance.now();
    await run.signal("SIGINT");
    await said(run, "first");
    const taken = performance.now();
    await waitFor(() => performance.now() - taken > 1_050, { what: "more than a second" });
    await run.signal("SIGINT");
    const { code, stderr } = await ended(run);
    expect(code, stderr).toBe(137);
    expect(performance.now() - startedAt).toBeLessThan(20_000);
    await expectNothingLeft(on.lab.jump);
  });

  test("leaves nothing on the jump host after kill -9 of farside, as an ordinary user or root", async () => {
    for (const user of ["builder", "root"]) {
      const run = on.sh(TREE, { jump: `${user}@${JUMP}` });
      await said(run, "up");
      await run.signal("SIGKILL");
      await run.exit;
      await expectNothingLeft(on.lab.jump);
    }
  });

  test("leaves nothing there after a cut link, as an ordinary user or root", async () => {
    // At the same time: each waits out its lease.
    const runs = ["builder", "root"].map((user, index) =>
      on.sh(TREE, {
        ...{ jump: `${user}@${JUMP}`, port: 4444 + index },
        options: ["--lease", String(LEASE_S)],
      }),
    );
    await Promise.all(runs.map((run) => said(run, "up")));
    await on.lab.cutWorkstationLink();
    try {
      await expectNothingLeft(on.lab.jump, LEASE_S * 1000 + 5_000);
      for (const run of runs) expect((await ended(run)).code, run.stderr).toBe(125);
    } finally {
      await on.lab.restoreWorkstationLink();
    }
  });

  test("leaves nothing there where the agent is killed, and exits with 125", async () => {
    const run = on.sh(TREE);
    await said(run, "up");
    await on.lab.jump.run(["pkill", "-KILL", "-f", "^farside-agent"]);
    const { code, stderr } = await ended(run);
    expect(code, stderr).toBe(125);
    expect(stderr).toContain("error[agent.gone]");
    await expectNothingLeft(on.lab.jump);
  });

  describe("--here", () => {
    const here = (script: string, options: readonly string[] = []) =>
      on.sh(script, { options: ["--here", ...options] });

    test("runs the command on the workstation, with its exit code and the addresses", async () => {
      const run = here(
        'hostname; cat; echo "$FARSIDE_PORT_1 $FARSIDE_SESSION"; env | grep -c LAB_PIN; exit 6',
        ["--name", "tea"],
      );
      run.stdin.write("input\n");
      const { code, stdout, stderr } = await ended(run);
      expect([code, stdout], stderr).toEqual([6, "workstation\ninput\n4444 tea\n0\n"]);
      await expectNothingLeft(on.lab.jump);
    });

    test.each([
      ["SIGTERM and the grace", "SIGTERM" as const, 137],
      ["kill -9 of farside", "SIGKILL" as const, null],
    ])("leaves nothing of it on the workstation after %s", async (_, signal, code) => {
      await on.lab.workstation.mark();
      const run = here(TREE, ["--grace", "1"]);
      await said(run, "up");
      await run.signal(signal);
      // What ignores everything holds its output until it is killed.
      expect((await run.exit).code, run.stderr).toBe(code);
      await waitFor(
        async () => !(await on.lab.workstation.residue()).processes.some((line) => / sh | sleep /.test(line)),
        { what: "the end of the command", detail: () => run.stderr },
      );
      await expectNothingLeft(on.lab.jump);
    });

    test("ends with a session that is lost, and exits with 125", async () => {
      const run = here("echo up; exec sleep 60");
      await said(run, "up");
      await on.lab.jump.run(["pkill", "-KILL", "-f", "^farside-agent"]);
      const { code, stderr } = await ended(run);
      expect(code, stderr).toBe(125);
    });

    test("says that a command is not there: 127", async () => {
      const run = await ended(on.start(["no-such-command"], { options: ["--here"] }));
      expect([run.code, run.stdout], run.stderr).toEqual([127, ""]);
      await expectNothingLeft(on.lab.jump);
    });
  });
});

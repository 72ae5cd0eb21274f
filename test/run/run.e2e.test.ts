import { expect, test } from "vitest";
import { describeLab } from "../support/describe-lab.ts";
import { cliPath } from "../support/farside.ts";
import { expectNothingLeft } from "../support/leftovers.ts";
import { CTRL_C, Terminal } from "../support/pty.ts";
import { Trace } from "../support/strace.ts";
import { runEnvironment, runWords } from "./run-command.ts";
import { ended, said, useRunLab } from "./use-run-lab.ts";

describeLab("farside run", () => {
  const on = useRunLab();

  test("runs the command on the jump host while the forward is open, and nothing else is on stdout", async () => {
    const script =
      'exec 3<>/dev/tcp/localhost/$FARSIDE_PORT_1; echo "hi from $(hostname)" >&3; head -n 1 <&3; echo "$FARSIDE_ADDRESS_1"';
    const run = on.start(["bash", "-c", script]);
    const { code, stdout, stderr } = await ended(run);
    expect(stdout, stderr).toBe("hi from jump\n127.0.0.1:4444\n");
    expect(code).toBe(0);
    expect(stderr).toContain("nothing left");
    await expectNothingLeft(on.lab.jump);
  });

  test("works where sshd allows one session only", async () => {
    await on.lab.jump.sshd.stop();
    await on.lab.jump.sshd.start(["MaxSessions 1"]);
    await on.lab.jump.mark();
    try {
      const { code, stdout, stderr } = await ended(on.sh("cat; exit 3"));
      expect([code, stdout], stderr).toEqual([3, ""]);
      await expectNothingLeft(on.lab.jump);
    } finally {
      await on.lab.jump.sshd.stop();
      await on.lab.jump.sshd.start();
    }
  });

  test.each([
    ["its exit code", "exit 7", 7],
    ["128 and the signal that killed it", "kill -KILL $$", 137],
    ["what a shell says of a command that is not there", "exec /no/such/command", 127],
  ])("exits with %s", async (_, script, code) => {
    const run = await ended(on.sh(script));
    expect(run.code, run.stderr).toBe(code);
  });

  test("exits with 127 where the command itself is not there, and says so", async () => {
    const run = await ended(on.start(["no-such-command"]));
    expect(run.code, run.stderr).toBe(127);
    expect(run.stderr).toContain("error[command.not-found]:");
    await expectNothingLeft(on.lab.jump);
  });

  test.each([
    ["a port that is taken", ["-L", "22:localhost:4444"], "forward."],
    ["a mistake on the command line", ["--no-such-option"], "usage.invalid"],
    ["a jump host that is not there", ["-p", "23"], "hop.unreachable"],
  ])("exits with 125 for %s", async (_, options, code) => {
    const run = await ended(on.start(["true"], { options }));
    expect(run.code, run.stderr).toBe(125);
    expect(run.stderr).toContain(`error[${code}`);
    expect(run.stdout).toBe("");
    await expectNothingLeft(on.lab.jump);
  });

  test("is ended by farside teardown, as by SIGTERM", async () => {
    const run = on.sh("trap 'echo term; exit 8' TERM; echo up; while :; do sleep 0.1; done", {
      options: ["--name", "tea"],
    });
    await said(run, "up");
    const teardown = await on.lab.workstation.exec(["node", cliPath, "teardown", "tea"]);
    expect(teardown.code, teardown.stderr).toBe(0);
    const { code, stdout, stderr } = await ended(run);
    expect([code, stdout], stderr).toEqual([8, "up\nterm\n"]);
    await expectNothingLeft(on.lab.jump);
  });

  test("takes a command that can't be sent for a failure of its own, and leaves nothing", async () => {
    const words = [...runWords(), "true"];
    const script = '"$@" $(yes xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx | head -n 20000)';
    const run = on.lab.workstation.spawn(["sh", "-c", script, "sh", ...words], {
      env: runEnvironment(on.lab),
    });
    const { code, stderr } = await ended(run);
    expect(code, stderr).toBe(125);
    expect(stderr).toContain("error[usage.invalid]");
    await expectNothingLeft(on.lab.jump);
  });

  test("gives the command a terminal, passes Ctrl-C to it, and sets this one back", async () => {
    const command = `sh -c 'stty size; trap "echo INT; exit 9" INT; test -t 0 && echo TERMINAL; while :; do sleep 0.1; done'`;
    const line = `${[...runWords({ options: ["--tty"] })].join(" ")} ${command}`;
    await using terminal = Terminal.start(
      on.lab,
      `sh -c '${line.replaceAll("'", "'\\''")}; echo "code $?"; stty -a'`,
      {
        env: runEnvironment(on.lab),
      },
    );
    await terminal.waitForText(/40 120\r\nTERMINAL/);
    terminal.type(CTRL_C);
    await terminal.waitForText(/code 9/);
    await terminal.waitForText(/ icanon/);
    expect(terminal.text).toMatch(/INT/);
    await expectNothingLeft(on.lab.jump);
  });

  test("writes no file on the jump host, nor does the terminal that it makes there", async () => {
    const trace = await Trace.ofLoginsTo(on.lab, on.lab.jump);
    const codes = [
      (await ended(on.sh("cat; echo out; echo err >&2"))).code,
      (await ended(on.sh("tty", { options: ["--tty"] }))).code,
    ];
    expect(codes).toEqual([0, 0]);
    // Pipes and terminals are opened by names, too.
    const files = (await trace.stop()).filter(
      (line) => !/"\/proc\/\d+\/fd\/\d+"|"\/dev\/(ptmx|pts\/\d+|tty)"/.test(line),
    );
    expect(files).toEqual([]);
  });
});

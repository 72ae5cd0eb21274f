import { existsSync } from "node:fs";
import { resizeCommand } from "@farside/protocol";
import { describe, expect, test } from "vitest";
import { DEAF, expectNothingLeft, useCommandBench } from "../testing/command-bench.ts";

const startBench = useCommandBench();

const terminal = { columns: 77, rows: 33, type: "vt220" };
describe.runIf(existsSync("/usr/bin/script"))("a command in a terminal", () => {
  test("has one of the operator's size and type, on all three", async () => {
    await using bench = await startBench();
    const script = 'tty; stty size; echo "$TERM $SHELL"; test -t 0 -a -t 1 -a -t 2 && echo "it\'s one"';
    const { ended } = bench.sh(script, { terminal, environment: { SHELL: "/bin/other" } });
    expect(await ended).toEqual({ exitCode: 0 });
    expect(bench.stdout).toMatch(/^\/dev\/pts\/\d+\r\n33 77\r\nvt220 \/bin\/other\r\nit's one\r\n$/);
  });

  test("takes Ctrl-C as the keyboard of a terminal gives it, and passes its exit code on", async () => {
    await using bench = await startBench();
    const { commandId, ended } = bench.sh(
      "trap 'echo int; exit 9' INT; echo up; while :; do sleep 0.05; done",
      {
        terminal,
      },
    );
    await bench.says(/up/);
    await bench.input(commandId, "\x03");
    expect(await ended).toEqual({ exitCode: 9 });
    expect(bench.stdout).toContain("int");
  });

  test("learns of another size", async () => {
    await using bench = await startBench();
    const { commandId, ended } = bench.sh(
      "trap 'stty size; exit 0' WINCH; echo up; while :; do sleep 0.05; done",
      { terminal },
    );
    await bench.says(/up/);
    bench.agent.peer.emit(resizeCommand, { commandId, columns: 120, rows: 40 });
    expect(await ended).toEqual({ exitCode: 0 });
    expect(bench.stdout).toContain("40 120");
  });

  test("is ended with all that ignores the hang-up", async () => {
    await using bench = await startBench();
    bench.sh(DEAF, { terminal });
    await bench.says(/up/);
    bench.agent.child.stdin.end();
    await bench.agent.exit();
    await expectNothingLeft();
  });

  test("is refused where the host has no script(1)", async () => {
    await using bench = await startBench();
    const { ended } = bench.run(["true"], { terminal, environment: { PATH: "/nowhere" } });
    await expect(ended).rejects.toMatchObject({ code: "agent.unsupported-host" });
  });
});

import { describe, expect, test } from "vitest";
import { runHere } from "./here.ts";

const sh = (script: string) => runHere(["sh", "-c", script], process.env);

describe("a command on this machine", () => {
  test("has its exit code passed on, or 128 and the signal that ended it", async () => {
    expect(await sh("exit 7").ended).toEqual({ exitCode: 7 });
    expect(await sh("kill -TERM $$").ended).toEqual({ exitCode: 143, signal: "SIGTERM" });
  });

  test("is told from one that is not there, or can't be run", async () => {
    await expect(runHere(["no-such-command"], process.env).ended).rejects.toMatchObject({
      code: "command.not-found",
    });
    await expect(runHere(["/etc/passwd"], process.env).ended).rejects.toMatchObject({
      code: "command.not-runnable",
    });
    await expect(runHere(["a\0b"], process.env).ended).rejects.toMatchObject({
      code: "command.not-runnable",
    });
  });

  test("gets a signal as a group", async () => {
    const command = sh("sleep 60; exit 1");
    // Not SIGINT: dash catches that one, and loses it where it comes while the sleep is being started.
    command.kill("SIGTERM");
    expect((await command.ended).exitCode).toBe(143);
  });

  test("is ended with all that it has started, and sooner by a second end", async () => {
    const command = sh("trap '' TERM; (setsid sleep 60 &); while :; do sleep 0.1; done");
    const startedAt = performance.now();
    void command.end(60_000);
    await command.end(0);
    expect(await command.ended).toEqual({ exitCode: 137, signal: "SIGKILL" });
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });
});

import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import {
  describeAgent,
  MAX_COMMAND_CHUNK_BYTES,
  MAX_COMMAND_CHUNKS,
  renewLease,
  signalCommand,
} from "@farside/protocol";
import { describe, expect, test } from "vitest";
import { oldestNode } from "../testing/build-bundle.ts";
import { marked, useCommandBench } from "../testing/command-bench.ts";
import { within } from "../testing/within.ts";

const MEBIBYTE = 1024 * 1024;
const startBench = useCommandBench();

describe("a command of the agent", () => {
  test("gets its arguments as they are, and the variables of the request", async () => {
    await using bench = await startBench();
    const argv = ["printf", "%s|%s|%s", "a b", "$HOME'\"", "größe\n"];
    expect(await bench.run(argv).ended).toEqual({ exitCode: 0 });
    expect(Buffer.from(bench.stdout, "latin1").toString()).toBe("a b|$HOME'\"|größe\n");
    await bench.sh('echo "$FARSIDE_PORT_1" >&2', { environment: { FARSIDE_PORT_1: "4444" } }).ended;
    expect(bench.stderr).toBe("4444\n");
  });

  test("has its exit code passed on, or 128 and the signal that ended it", async () => {
    await using bench = await startBench();
    expect(await bench.sh("exit 7").ended).toEqual({ exitCode: 7 });
    expect(await bench.sh("kill -TERM $$").ended).toEqual({ exitCode: 143, signal: "SIGTERM" });
    expect(await bench.sh("kill -9 $$").ended).toEqual({ exitCode: 137, signal: "SIGKILL" });
  });

  test("that is not there, or can't be run, is told as a shell does", async () => {
    await using bench = await startBench();
    await expect(bench.run(["no-such-command"]).ended).rejects.toMatchObject({ code: "command.not-found" });
    await expect(bench.run(["/etc/passwd"]).ended).rejects.toMatchObject({ code: "command.not-runnable" });
    const huge = Array.from({ length: 30 }, () => "x".repeat(100_000));
    await expect(bench.run(["true", ...huge.slice(0, 8)]).ended).resolves.toEqual({ exitCode: 0 });
  });

  test("leads a process group and a session of its own", async () => {
    await using bench = await startBench();
    await bench.sh('ps -o pid=,pgid=,sid= -p "$$"').ended;
    const [pid, group, session] = bench.stdout.trim().split(/\s+/);
    expect([group, session]).toEqual([pid, pid]);
  });

  test("takes its stdin, its end too, and gives back every byte", async () => {
    await using bench = await startBench();
    const { commandId, ended } = bench.run(["cat"]);
    const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * 7) % 256));
    for (let at = 0; at < bytes.length; at += MAX_COMMAND_CHUNK_BYTES) {
      void bench.input(commandId, bytes.subarray(at, at + MAX_COMMAND_CHUNK_BYTES));
    }
    await bench.input(commandId, "", true);
    expect(await ended).toEqual({ exitCode: 0 });
    expect(Buffer.from(bench.stdout, "latin1").equals(bytes)).toBe(true);
  });

  test("that reads no more says so", async () => {
    await using bench = await startBench();
    const { commandId, ended } = bench.sh("exec <&-; echo closed; sleep 60");
    await bench.says(/closed/);
    let isOpen = true;
    while (isOpen) ({ isOpen } = await bench.input(commandId, "x".repeat(1000)));
    await bench.agent.peer.request(signalCommand, { commandId, signal: "SIGTERM" });
    expect(await ended).toMatchObject({ exitCode: 143 });
    expect(await bench.input(commandId, "x")).toEqual({ isOpen: false });
  });

  test("whose output nobody reads is held back, with bounded memory and the heartbeat going on", async () => {
    let taken = 0;
    await using bench = await startBench({
      onOutput: ({ data }) => {
        taken += data.length;
        return new Promise(() => {});
      },
    });
    const before = (await bench.agent.peer.request(describeAgent, {})).rssBytes;
    bench.run(["cat", "/dev/zero"]);
    await expect.poll(() => taken).toBeGreaterThan(0);
    for (let beat = 0; beat < 30; beat += 1) {
      await bench.agent.peer.request(renewLease, {});
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    // What the pipe held may have come in smaller pieces.
    expect(taken).toBeLessThanOrEqual(MAX_COMMAND_CHUNKS * MAX_COMMAND_CHUNK_BYTES);
    const after = (await bench.agent.peer.request(describeAgent, {})).rssBytes;
    expect(after - before).toBeLessThan(30 * MEBIBYTE);
  });

  test("gets SIGPIPE where the reader of its output is gone", async () => {
    await using bench = await startBench({ onOutput: async () => ({ isOpen: false }) });
    expect(await bench.run(["cat", "/dev/zero"]).ended).toEqual({ exitCode: 141, signal: "SIGPIPE" });
  });

  test("has pipes of the kernel for its stdio, which can be opened by their names", async () => {
    await using bench = await startBench();
    const script =
      "read -r x < /dev/stdin; echo out > /dev/stdout; echo err > /dev/stderr; stat -Lc %F /dev/fd/0 /dev/fd/1 /dev/fd/2";
    const { commandId, ended } = bench.sh(script);
    await bench.input(commandId, "in\n", true);
    expect(await ended).toEqual({ exitCode: 0 });
    expect(bench.stdout).toBe("out\nfifo\nfifo\nfifo\n");
    expect(bench.stderr).toBe("err\n");
  });

  test("leaves no descriptor open in the agent", async () => {
    await using bench = await startBench();
    const open = () => readdirSync(`/proc/${bench.agent.hello.pid}/fd`).length;
    await bench.sh("true").ended;
    // With what the first command leaves for a moment.
    const before = open();
    for (let round = 0; round < 5; round += 1) {
      await bench.sh("echo x").ended;
      await bench.run(["no-such-command"]).ended.catch(() => {});
    }
    await expect.poll(open).toBeLessThanOrEqual(before);
  });

  test("takes what it started in the background with it, whether it stayed in the group or not", async () => {
    await using bench = await startBench();
    const script = "sleep 60 & setsid sleep 60 & (trap '' TERM; sleep 60) & echo up; exit 3";
    expect(await bench.sh(script).ended).toEqual({ exitCode: 3 });
    expect(marked()).toEqual([]);
  });

  test("is not waited for any longer where somebody who left it for good holds its output", async () => {
    await using bench = await startBench();
    const { ended } = bench.sh("setsid env -i sleep 5 & echo up; exit 4");
    expect(await within(ended, () => "it did not end")).toEqual({ exitCode: 4 });
    expect(bench.stdout).toBe("up\n");
  });

  test("that is started before the hello is refused", async () => {
    await using bench = await startBench({ hello: undefined });
    await expect(bench.run(["true"]).ended).rejects.toMatchObject({ code: "protocol.bad-message" });
  });

  test("runs on the oldest Node.js", async () => {
    await using bench = await startBench({ node: await oldestNode() });
    const { commandId, ended } = bench.run(["sha256sum"]);
    await bench.input(commandId, "abc", true);
    expect(await ended).toEqual({ exitCode: 0 });
    expect(bench.stdout).toContain(createHash("sha256").update("abc").digest("hex"));
  });
});

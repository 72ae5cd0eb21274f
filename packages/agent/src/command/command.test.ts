import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import {
  commandInput,
  describeAgent,
  MAX_COMMAND_CHUNK_BYTES,
  MAX_COMMAND_CHUNKS,
  type RunCommandParams,
  renewLease,
  resizeCommand,
  runCommand,
  signalCommand,
  stopAgent,
} from "@farside/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentProcess, type AgentProcessOptions } from "../testing/agent-process.ts";
import { type BuiltBundle, buildBundle, oldestNode } from "../testing/build-bundle.ts";
import { newRun } from "../testing/new-run.ts";
import { within } from "../testing/within.ts";

/** A deploy of these tests' own, by which their processes are found. */
const NONCE = newRun();
const MARK = `FARSIDE_COMMAND=${NONCE}-`;
const MEBIBYTE = 1024 * 1024;
/** Ignores SIGTERM, says so, and goes on. */
const DEAF = "trap '' TERM INT HUP; echo up; while :; do sleep 0.1; done";

let built: BuiltBundle;
let oldest: string;
beforeAll(async () => {
  [built, oldest] = await Promise.all([buildBundle(), oldestNode()]);
}, 150_000);
afterAll(() => built[Symbol.asyncDispose]());

/** An agent whose commands' output is kept. */
class Bench implements AsyncDisposable {
  readonly agent: AgentProcess;
  readonly #output: { stdout: string; stderr: string };
  readonly #watchers: Set<() => void>;
  #lastId = 0;

  static async start(options: Partial<AgentProcessOptions> = {}): Promise<Bench> {
    const output = { stdout: "", stderr: "" };
    const watchers = new Set<() => void>();
    const agent = await AgentProcess.start({
      bundle: built.path,
      nonce: NONCE,
      onOutput: async ({ stream, data }) => {
        output[stream] += Buffer.from(data).toString("latin1");
        for (const look of watchers) look();
        return { isOpen: true };
      },
      ...options,
    });
    return new Bench(agent, output, watchers);
  }

  private constructor(
    agent: AgentProcess,
    output: { stdout: string; stderr: string },
    watchers: Set<() => void>,
  ) {
    this.agent = agent;
    this.#output = output;
    this.#watchers = watchers;
  }

  get stdout(): string {
    return this.#output.stdout;
  }
  get stderr(): string {
    return this.#output.stderr;
  }

  run(argv: readonly string[], more: Partial<RunCommandParams> = {}, signal?: AbortSignal) {
    this.#lastId += 1;
    const params = { commandId: this.#lastId, argv: [...argv], environment: {}, ...more };
    const ended = this.agent.peer.request(runCommand, params, { signal });
    ended.catch(() => {});
    return { commandId: this.#lastId, ended };
  }

  sh(script: string, more: Partial<RunCommandParams> = {}, signal?: AbortSignal) {
    return this.run(["sh", "-c", script], more, signal);
  }

  input(commandId: number, data: string | Uint8Array, isLast = false) {
    return this.agent.peer.request(commandInput, { commandId, data: Buffer.from(data), isLast });
  }

  says(pattern: RegExp): Promise<void> {
    const said = new Promise<void>((resolve) => {
      const look = () => {
        if (pattern.test(this.stdout)) resolve();
      };
      this.#watchers.add(look);
      look();
    });
    return within(said, () => `${pattern} was not said: ${JSON.stringify(this.#output)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent[Symbol.asyncDispose]();
    for (const pid of marked()) process.kill(pid, "SIGKILL");
  }
}

/** Living processes of commands of these agents. */
function marked(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const state = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.[0];
        return state !== "Z" && readFileSync(`/proc/${pid}/environ`, "latin1").includes(MARK);
      } catch {
        return false;
      }
    });
}

async function expectNothingLeft(): Promise<void> {
  const gone = (async () => {
    while (marked().length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    return [];
  })();
  expect(await within(gone, () => `processes are left: ${marked()}`)).toEqual([]);
}

describe("a command of the agent", () => {
  test("gets its arguments as they are, and the variables of the request", async () => {
    await using bench = await Bench.start();
    const argv = ["printf", "%s|%s|%s", "a b", "$HOME'\"", "größe\n"];
    expect(await bench.run(argv).ended).toEqual({ exitCode: 0 });
    expect(Buffer.from(bench.stdout, "latin1").toString()).toBe("a b|$HOME'\"|größe\n");
    await bench.sh('echo "$FARSIDE_PORT_1" >&2', { environment: { FARSIDE_PORT_1: "4444" } }).ended;
    expect(bench.stderr).toBe("4444\n");
  });

  test("has its exit code passed on, or 128 and the signal that ended it", async () => {
    await using bench = await Bench.start();
    expect(await bench.sh("exit 7").ended).toEqual({ exitCode: 7 });
    expect(await bench.sh("kill -TERM $$").ended).toEqual({ exitCode: 143, signal: "SIGTERM" });
    expect(await bench.sh("kill -9 $$").ended).toEqual({ exitCode: 137, signal: "SIGKILL" });
  });

  test("that is not there, or can't be run, is told as a shell does", async () => {
    await using bench = await Bench.start();
    await expect(bench.run(["no-such-command"]).ended).rejects.toMatchObject({ code: "command.not-found" });
    await expect(bench.run(["/etc/passwd"]).ended).rejects.toMatchObject({ code: "command.not-runnable" });
    const huge = Array.from({ length: 30 }, () => "x".repeat(100_000));
    await expect(bench.run(["true", ...huge.slice(0, 8)]).ended).resolves.toEqual({ exitCode: 0 });
  });

  test("leads a process group and a session of its own", async () => {
    await using bench = await Bench.start();
    await bench.sh('ps -o pid=,pgid=,sid= -p "$$"').ended;
    const [pid, group, session] = bench.stdout.trim().split(/\s+/);
    expect([group, session]).toEqual([pid, pid]);
  });

  test("takes its stdin, its end too, and gives back every byte", async () => {
    await using bench = await Bench.start();
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
    await using bench = await Bench.start();
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
    await using bench = await Bench.start({
      onOutput: ({ data }) => {
        taken += data.length;
        return new Promise(() => {});
      },
    });
    const before = (await bench.agent.peer.request(describeAgent, {})).rssBytes;
    bench.run(["cat", "/dev/zero"]);
    for (let beat = 0; beat < 30; beat += 1) {
      await bench.agent.peer.request(renewLease, {});
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    // What the pipe held may have come in smaller pieces.
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThanOrEqual(MAX_COMMAND_CHUNKS * MAX_COMMAND_CHUNK_BYTES);
    const after = (await bench.agent.peer.request(describeAgent, {})).rssBytes;
    expect(after - before).toBeLessThan(30 * MEBIBYTE);
  });

  test("gets SIGPIPE where the reader of its output is gone", async () => {
    await using bench = await Bench.start({ onOutput: async () => ({ isOpen: false }) });
    expect(await bench.run(["cat", "/dev/zero"]).ended).toEqual({ exitCode: 141, signal: "SIGPIPE" });
  });

  test("has pipes of the kernel for its stdio, which can be opened by their names", async () => {
    await using bench = await Bench.start();
    const script =
      "read -r x < /dev/stdin; echo out > /dev/stdout; echo err > /dev/stderr; stat -Lc %F /dev/fd/0 /dev/fd/1 /dev/fd/2";
    const { commandId, ended } = bench.sh(script);
    await bench.input(commandId, "in\n", true);
    expect(await ended).toEqual({ exitCode: 0 });
    expect(bench.stdout).toBe("out\nfifo\nfifo\nfifo\n");
    expect(bench.stderr).toBe("err\n");
  });

  test("leaves no descriptor open in the agent", async () => {
    await using bench = await Bench.start();
    const open = () => readdirSync(`/proc/${bench.agent.hello.pid}/fd`).length;
    await bench.sh("true").ended;
    const before = open();
    for (let round = 0; round < 5; round += 1) {
      await bench.sh("echo x").ended;
      await bench.run(["no-such-command"]).ended.catch(() => {});
    }
    await expect.poll(open, { timeout: 5_000 }).toBe(before);
  });

  test("takes what it started in the background with it, whether it stayed in the group or not", async () => {
    await using bench = await Bench.start();
    const script = "sleep 60 & setsid sleep 60 & (trap '' TERM; sleep 60) & echo up; exit 3";
    expect(await bench.sh(script).ended).toEqual({ exitCode: 3 });
    expect(marked()).toEqual([]);
  });

  test("is not waited for any longer where somebody who left it for good holds its output", async () => {
    await using bench = await Bench.start();
    const { ended } = bench.sh("setsid env -i sleep 5 & echo up; exit 4");
    expect(await within(ended, () => "it did not end")).toEqual({ exitCode: 4 });
    expect(bench.stdout).toBe("up\n");
  });

  test("that is started before the hello is refused", async () => {
    await using bench = await Bench.start({ hello: undefined });
    await expect(bench.run(["true"]).ended).rejects.toMatchObject({ code: "protocol.bad-message" });
  });

  test("runs on the oldest Node.js", async () => {
    await using bench = await Bench.start({ node: oldest });
    const { commandId, ended } = bench.run(["sha256sum"]);
    await bench.input(commandId, "abc", true);
    expect(await ended).toEqual({ exitCode: 0 });
    expect(bench.stdout).toContain(createHash("sha256").update("abc").digest("hex"));
  });
});

describe("the end of a command", () => {
  const tree = `(setsid sh -c '${DEAF.replaceAll("'", `'\\''`)}' &) ; ${DEAF}`;

  test("comes with agent.stop: SIGTERM, and SIGKILL after the grace", async () => {
    await using bench = await Bench.start();
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
    await using bench = await Bench.start();
    bench.sh(DEAF);
    await bench.says(/up/);
    const stopped = bench.agent.peer.request(stopAgent, { graceMs: 60_000 });
    await bench.agent.peer.request(stopAgent, { graceMs: 0 });
    await within(stopped, () => "the first stop was not answered");
    await bench.agent.exit();
    expect(marked()).toEqual([]);
  });

  test("is its own with agent.stop, and what it says then is delivered", async () => {
    await using bench = await Bench.start();
    const { ended } = bench.sh("trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done");
    await bench.says(/up/);
    await bench.agent.peer.request(stopAgent, { graceMs: 5_000 });
    expect(await ended).toEqual({ exitCode: 5 });
    expect(bench.stdout).toBe("up\nbye\n");
  });

  test.each([
    ["the end of stdin", (bench: Bench) => void bench.agent.child.stdin.end()],
    ["SIGTERM to the agent", (bench: Bench) => void bench.agent.child.kill("SIGTERM")],
    [
      "a broken protocol",
      (bench: Bench) => void bench.agent.child.stdin.write(Buffer.from([0, 0, 0, 1, 0xc1])),
    ],
  ])("comes with %s", async (_, end) => {
    await using bench = await Bench.start();
    bench.sh(tree);
    await bench.says(/up\nup/);
    end(bench);
    await bench.agent.exit();
    await expectNothingLeft();
  });

  test("comes with an expired lease", async () => {
    await using bench = await Bench.start({
      hello: { leaseMs: 1000 },
      wrap: (command) => command,
    });
    bench.sh(tree);
    await bench.says(/up\nup/);
    await bench.agent.exit();
    expect(bench.agent.endReason).toBe("lease-expired");
    await expectNothingLeft();
  });

  test("comes with a cancel of the request: SIGKILL", async () => {
    await using bench = await Bench.start();
    const cancel = new AbortController();
    const { ended } = bench.sh(tree, {}, cancel.signal);
    await bench.says(/up\nup/);
    cancel.abort(new Error("enough"));
    await expect(ended).rejects.toThrow("enough");
    await expectNothingLeft();
  });

  test("comes with a signal, to its group alone", async () => {
    await using bench = await Bench.start();
    const { commandId, ended } = bench.sh(
      "trap 'echo int; exit 9' INT; echo up; while :; do sleep 0.05; done",
    );
    await bench.says(/up/);
    await bench.agent.peer.request(signalCommand, { commandId, signal: "SIGINT" });
    expect(await ended).toEqual({ exitCode: 9 });
    expect(bench.stdout).toBe("up\nint\n");
  });
});

const terminal = { columns: 77, rows: 33, type: "vt220" };
describe.runIf(existsSync("/usr/bin/script"))("a command in a terminal", () => {
  test("has one of the operator's size and type, on all three", async () => {
    await using bench = await Bench.start();
    const script = 'tty; stty size; echo "$TERM $SHELL"; test -t 0 -a -t 1 -a -t 2 && echo "it\'s one"';
    const { ended } = bench.sh(script, { terminal, environment: { SHELL: "/bin/other" } });
    expect(await ended).toEqual({ exitCode: 0 });
    expect(bench.stdout).toMatch(/^\/dev\/pts\/\d+\r\n33 77\r\nvt220 \/bin\/other\r\nit's one\r\n$/);
  });

  test("takes Ctrl-C as the keyboard of a terminal gives it, and passes its exit code on", async () => {
    await using bench = await Bench.start();
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
    await using bench = await Bench.start();
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
    await using bench = await Bench.start();
    bench.sh(DEAF, { terminal });
    await bench.says(/up/);
    bench.agent.child.stdin.end();
    await bench.agent.exit();
    await expectNothingLeft();
  });

  test("is refused where the host has no script(1)", async () => {
    await using bench = await Bench.start();
    const { ended } = bench.run(["true"], { terminal, environment: { PATH: "/nowhere" } });
    await expect(ended).rejects.toMatchObject({ code: "agent.unsupported-host" });
  });
});

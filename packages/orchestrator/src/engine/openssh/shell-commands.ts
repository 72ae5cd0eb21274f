import { constants } from "node:os";
import type { Readable, Writable } from "node:stream";
import {
  abortable,
  ChunkPump,
  CodedError,
  type CommandExit,
  type CommandSignal,
  deadline,
  harmless,
} from "@farside/protocol";
import type { ExecStream, Hop } from "@farside/ssh";
import { within } from "../../end-agent.ts";
import type { RemoteCommand, RunOptions } from "../../remote-command.ts";
import { CommandOutput, commandStart, type StartedCommand } from "./command-script.ts";

/** How long what a command leaves behind may keep its output open once it is killed. */
const CLOSE_TIMEOUT_MS = 2_000;
const START_TIMEOUT_MS = 10_000;

export interface ShellCommandsOptions {
  /** Borrowed; each command is a session channel of its own. */
  readonly hop: Pick<Hop, "exec">;
  /** `user@host`, for messages. */
  readonly host: string;
  /** Marks the processes, so that the supervisor ends them too. */
  readonly nonce: string;
  /** Sends a signal to a process group there. */
  readonly signalGroup: (signal: string, group: number) => void;
}

interface Running {
  readonly kill: (signal: CommandSignal) => void;
  readonly over: Promise<unknown>;
}

/** The commands of a session without an agent: each runs under a line of shell, in a channel of its own, without a terminal. */
export class ShellCommands {
  readonly #options: ShellCommandsOptions;
  readonly #running = new Set<Running>();

  constructor(options: ShellCommandsOptions) {
    this.#options = options;
  }

  /** Throws `usage.invalid` for a command that can't be sent, and `agent.unsupported-host` where a terminal is wanted. */
  run(argv: readonly string[], options: RunOptions): RemoteCommand {
    if (options.terminal !== undefined) {
      throw new CodedError("agent.unsupported-host", "a terminal for a command needs the agent", {
        leg: "jump",
        hint: "Leave out --tty, or --engine openssh.",
      });
    }
    const start = commandStart(this.#options.nonce, argv, options.environment ?? {});
    for (const stream of [options.stdout, options.stderr, options.stdin]) stream?.on("error", ignore);
    let group: number | undefined;
    let early: CommandSignal | undefined;
    const kill = (signal: CommandSignal) => {
      if (group === undefined) early = signal;
      else this.#options.signalGroup(signal.slice("SIG".length), group);
    };
    const onGroup = (found: number) => {
      group = found;
      if (early !== undefined) kill(early);
    };
    const ended = this.#run(argv, start, options, { onGroup, kill });
    const running = { kill, over: ended.catch(ignore) };
    this.#running.add(running);
    void running.over.then(() => {
      this.#running.delete(running);
      for (const stream of [options.stdout, options.stderr, options.stdin]) stream?.off("error", ignore);
    });
    ended.catch(ignore);
    return { ended, kill: (signal = "SIGTERM") => kill(signal), resize: ignore };
  }

  /** SIGTERM for all, and no longer than the grace. What then still runs is the supervisor's to end. Never rejects. */
  async end(graceMs: number, escalated: AbortSignal): Promise<void> {
    if (this.#running.size === 0) return;
    for (const { kill } of this.#running) kill(graceMs === 0 ? "SIGKILL" : "SIGTERM");
    const limit = deadline(graceMs, "the grace is over", { signal: escalated });
    await abortable(Promise.all([...this.#running].map(({ over }) => over)), limit.signal).catch(ignore);
    limit.release();
  }

  async #run(
    argv: readonly string[],
    { command, input }: { readonly command: string; readonly input: string },
    options: RunOptions,
    { onGroup, kill }: { onGroup: (group: number) => void; kill: (signal: CommandSignal) => void },
  ): Promise<CommandExit> {
    const { hop, host, nonce } = this.#options;
    const { signal } = options;
    signal?.throwIfAborted();
    const errors = new CommandOutput(nonce);
    const channel = await hop.exec(command, {
      signal,
      onStderr: async (chunk) => {
        const { behind } = errors.push(chunk);
        if (behind.length > 0) await deliver(options.stderr, behind);
      },
    });
    channel.on("error", ignore);
    channel.write(input);
    const aborted = () => {
      kill("SIGKILL");
      channel.destroy();
    };
    signal?.addEventListener("abort", aborted, { once: true });
    let pump: ChunkPump | undefined;
    try {
      const output = new CommandOutput(nonce);
      const written = pass(channel, output, options.stdout, (started) => {
        if ("problem" in started) return;
        onGroup(started.group);
        pump = feed(channel, options.stdin);
      });
      const limit = deadline(START_TIMEOUT_MS, () => noStart(argv, host, output), { signal });
      void Promise.race([output.started, written]).then(() => limit.release(), ignore);
      const started = await abortable(
        Promise.race([output.started, written.then(() => undefined)]),
        limit.signal,
      );
      limit.release();
      if (started === undefined) throw noStart(argv, host, output);
      if ("problem" in started) throw notRun(argv, host, started.problem);
      const exit = await channel.ended;
      // What the command has left behind in its group ends with it.
      kill("SIGKILL");
      await within(CLOSE_TIMEOUT_MS, written);
      signal?.throwIfAborted();
      return exitOf(exit, host);
    } finally {
      pump?.stop();
      signal?.removeEventListener("abort", aborted);
      channel.destroy();
    }
  }
}

/** Hands on what the command prints; tells how it started. Rejects never: a channel that breaks has ended. */
async function pass(
  channel: ExecStream,
  output: CommandOutput,
  stdout: Writable | undefined,
  onStarted: (started: StartedCommand) => void,
): Promise<void> {
  void output.started.then(onStarted);
  try {
    for await (const chunk of channel.iterator({ destroyOnReturn: false })) {
      const { behind } = output.push(chunk as Buffer);
      if (behind.length > 0) await deliver(stdout, behind);
    }
  } catch {
    // Why is the connection's to tell.
  }
}

function feed(channel: ExecStream, stdin: Readable | undefined): ChunkPump | undefined {
  if (stdin === undefined) {
    channel.end();
    return undefined;
  }
  const pump = new ChunkPump(stdin, async (data) => ({ isOpen: await deliver(channel, data) }));
  void pump.done.then((how) => how === "end" && channel.end());
  return pump;
}

/** Resolves when `data` is written, with whether more can be. */
function deliver(stream: Writable | undefined, data: Uint8Array): Promise<boolean> {
  if (stream === undefined) return Promise.resolve(true);
  if (!stream.writable) return Promise.resolve(false);
  return new Promise((resolve) => {
    const closed = () => resolve(false);
    stream.once("close", closed);
    stream.write(data, (error) => {
      stream.off("close", closed);
      resolve(error === null || error === undefined);
    });
  });
}

function exitOf({ code, signal }: { code: number | null; signal: string | null }, host: string): CommandExit {
  if (code !== null) return { exitCode: code };
  if (signal === null)
    throw new CodedError("agent.gone", `the command on ${host} was lost with its channel`, { leg: "jump" });
  const name = `SIG${signal.replace(/^SIG/, "")}`;
  const number = constants.signals[name as NodeJS.Signals] as number | undefined;
  return { exitCode: 128 + (number ?? 0), signal: harmless(name, 20) };
}

function notRun(
  [program = ""]: readonly string[],
  host: string,
  problem: "not-found" | "not-runnable",
): CodedError {
  const what = problem === "not-found" ? "it was not found" : "it can't be run";
  return new CodedError(`command.${problem}`, `running ${harmless(program, 200)} on ${host}: ${what}`, {
    leg: "jump",
  });
}

function noStart([program = ""]: readonly string[], host: string, output: CommandOutput): CodedError {
  const printed = output.noise === "" ? "" : `; it printed: ${harmless(output.noise, 200)}`;
  return new CodedError(
    "command.not-runnable",
    `running ${harmless(program, 200)} on ${host}: the login did not run it${printed}`,
    {
      leg: "jump",
    },
  );
}

function ignore(): void {}

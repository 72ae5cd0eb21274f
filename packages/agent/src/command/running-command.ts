import { setTimeout as wait } from "node:timers/promises";
import {
  ChunkPump,
  type CommandExit,
  type CommandOutputParams,
  type CommandSignal,
  type TerminalSize,
} from "@farside/protocol";
import { type CommandProcess, type CommandProcessOptions, startCommand } from "./command-process.ts";

/** What is left of a command's group when it has ended by itself gets this long after SIGTERM. */
const STRAGGLERS_GRACE_MS = 1_000;
/** An output that nobody of the family holds any more may be held by somebody who has left it: silent for so long, it is over. */
const SILENCE_MS = 500;
/** When a command was ended, how long its last output may take to be delivered. */
const DELIVERY_MS = 500;

export type SendOutput = (
  output: Pick<CommandOutputParams, "stream" | "data">,
) => Promise<{ readonly isOpen: boolean }>;

/** One command of an agent, from its start to its end. */
export class RunningCommand {
  /** Settles when the command has ended, nothing of it is left, and its output is delivered (or never will be). */
  readonly finished: Promise<CommandExit>;
  readonly #process: CommandProcess;
  readonly #pumps: readonly ChunkPump[];
  readonly #killed = new AbortController();
  /** Nothing of it is left. */
  readonly #gone: Promise<void>;
  #end: Promise<void> | undefined;

  /** Rejects as `startCommand` does. */
  static async start(options: CommandProcessOptions, send: SendOutput): Promise<RunningCommand> {
    return new RunningCommand(await startCommand(options), send);
  }

  private constructor(command: CommandProcess, send: SendOutput) {
    this.#process = command;
    this.#pumps = (["stdout", "stderr"] as const).map((stream) => {
      const pump = new ChunkPump(command[stream], (data) => send({ stream, data }));
      // Who writes to it learns that nobody reads: SIGPIPE.
      void pump.done.then(() => command[stream].destroy());
      return pump;
    });
    this.#gone = command.exit.then(() => this.#end ?? this.#endFamily(STRAGGLERS_GRACE_MS));
    this.finished = this.#finish();
  }

  /** Writes to the command's stdin; resolves when it is written, with whether it takes more. Never rejects. */
  async write(data: Uint8Array, isLast: boolean): Promise<{ isOpen: boolean }> {
    const { stdin } = this.#process;
    if (data.length > 0 && stdin.writable) {
      const written = new Promise<void>((resolve) => stdin.write(data, () => resolve()));
      // A dead command whose stdin somebody else holds open would never take it.
      await Promise.race([written, this.#gone]);
    }
    if (isLast) stdin.end();
    return { isOpen: stdin.writable };
  }

  signal(signal: CommandSignal): void {
    this.#process.family.signalGroup(signal);
  }

  resize(size: TerminalSize): void {
    this.#process.resize(size);
  }

  /** SIGTERM for all of it, SIGKILL after the grace; resolves when nothing is left. A later call with less grace ends it sooner. */
  async end(graceMs: number): Promise<void> {
    if (graceMs === 0) this.kill();
    this.#end ??= this.#endFamily(graceMs);
    await this.#end;
    await this.#gone;
    for (const pump of this.#pumps) void this.#cutAfter(pump, DELIVERY_MS);
    await this.finished;
  }

  /** SIGKILL for all of it, at once; does not wait. */
  kill(): void {
    this.#killed.abort();
    this.#process.family.killNow();
  }

  #endFamily(graceMs: number): Promise<void> {
    return this.#process.family.end({ graceMs, hurry: this.#killed.signal });
  }

  async #finish(): Promise<CommandExit> {
    const exit = await this.#process.exit;
    await this.#gone;
    this.#process.stdin.destroy();
    await Promise.all(this.#pumps.map((pump) => this.#drained(pump)));
    return exit;
  }

  /** What was written before the end still goes out, however slowly it is read. */
  async #drained(pump: ChunkPump): Promise<void> {
    let isDone = false;
    const done = pump.done.then(() => {
      isDone = true;
    });
    for (let sent = -1; !isDone; ) {
      await Promise.race([done, wait(SILENCE_MS, undefined, { ref: false })]);
      if (pump.inFlight === 0 && pump.sent === sent) pump.stop();
      sent = pump.sent;
    }
  }

  async #cutAfter(pump: ChunkPump, ms: number): Promise<void> {
    await Promise.race([pump.done, wait(ms)]);
    pump.stop();
  }
}

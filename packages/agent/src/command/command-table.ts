import {
  CodedError,
  type CommandExit,
  commandInput,
  commandOutput,
  handle,
  MAX_COMMANDS,
  onAbort,
  type Peer,
  type RequestHandler,
  type ResizeCommand,
  type RunCommandParams,
  runCommand,
  signalCommand,
} from "@farside/protocol";
import { RunningCommand } from "./running-command.ts";

/** By this variable every process of a deploy is recognised; the bootstrap sets it. */
export const RUN_VARIABLE = "FARSIDE_RUN";
/** By this one the processes of one command are. */
export const COMMAND_VARIABLE = "FARSIDE_COMMAND";

export interface CommandTableOptions {
  /** The deploy's nonce. */
  readonly nonce: string;
  readonly request: Peer["request"];
  /** What commands inherit. */
  readonly environment: NodeJS.ProcessEnv;
  /** Throws where no command may run yet. */
  readonly requireSession: () => void;
}

interface Entry {
  /** Rejects where the command could not be started. */
  readonly started: Promise<RunningCommand>;
  running?: RunningCommand;
  /** The last of its input that came: what comes is written in that order. */
  input: Promise<{ isOpen: boolean }>;
}

/** All commands of an agent. Whatever way the agent ends, they are ended before. */
export class CommandTable {
  readonly #options: CommandTableOptions;
  readonly #commands = new Map<number, Entry>();
  #lastId = 0;
  /** What they get once the table is closed; undefined: it is open. */
  #graceMs: number | undefined;

  constructor(options: CommandTableOptions) {
    this.#options = options;
  }

  get handlers(): RequestHandler[] {
    return [
      handle(runCommand, (params, { signal }) => {
        this.#options.requireSession();
        return this.#run(params, signal);
      }),
      handle(commandInput, ({ commandId, data, isLast }) => {
        const entry = this.#commands.get(commandId);
        if (entry === undefined) return { isOpen: false };
        entry.input = Promise.all([entry.started, entry.input]).then(
          ([command]) => command.write(data, isLast),
          () => ({ isOpen: false }),
        );
        return entry.input;
      }),
      handle(signalCommand, async ({ commandId, signal }) => {
        const command = await this.#commands.get(commandId)?.started.catch(() => undefined);
        command?.signal(signal);
        return {};
      }),
    ];
  }

  resize({ commandId, ...size }: ResizeCommand): void {
    this.#commands.get(commandId)?.running?.resize(size);
  }

  /** Ends all, for good: SIGTERM, and SIGKILL after the grace. Resolves when nothing of them is left. Never rejects. */
  async closeAll(graceMs: number): Promise<void> {
    this.#graceMs = Math.min(graceMs, this.#graceMs ?? graceMs);
    if (graceMs === 0) this.killNow();
    const end = async ({ started }: Entry) => (await started).end(graceMs);
    await Promise.allSettled([...this.#commands.values()].map(end));
  }

  /** SIGKILL for all, at once. */
  killNow(): void {
    this.#graceMs = 0;
    for (const { running } of this.#commands.values()) running?.kill();
  }

  async #run(params: RunCommandParams, signal: AbortSignal): Promise<CommandExit> {
    const { commandId } = params;
    if (this.#graceMs !== undefined) throw new CodedError("canceled", "the agent is ending");
    if (commandId <= this.#lastId) throw new Error(`the id ${commandId} of a command was used before`);
    if (this.#commands.size >= MAX_COMMANDS) {
      throw new CodedError("config.invalid", `running a command: an agent has at most ${MAX_COMMANDS}`);
    }
    this.#lastId = commandId;
    const entry: Entry = { started: this.#start(params), input: Promise.resolve({ isOpen: true }) };
    this.#commands.set(commandId, entry);
    try {
      const command = await entry.started;
      entry.running = command;
      // Any of the ends may have come while it started.
      if (this.#graceMs !== undefined) void command.end(this.#graceMs);
      const unlink = onAbort(signal, () => command.kill());
      return await command.finished.finally(unlink);
    } finally {
      this.#commands.delete(commandId);
    }
  }

  #start({ commandId, argv, environment, terminal }: RunCommandParams): Promise<RunningCommand> {
    const { nonce, request } = this.#options;
    const id = `${nonce}-${commandId}`;
    const marks = { [RUN_VARIABLE]: nonce, [COMMAND_VARIABLE]: id };
    return RunningCommand.start(
      {
        ...{ argv, terminal, mark: `${COMMAND_VARIABLE}=${id}` },
        environment: { ...this.#options.environment, ...environment, ...marks },
      },
      ({ stream, data }) => request(commandOutput, { commandId, stream, data }),
    );
  }
}

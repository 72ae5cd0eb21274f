import type { Readable, Writable } from "node:stream";
import {
  abortable,
  ChunkPump,
  CodedError,
  type CommandExit,
  type CommandSignal,
  commandInput,
  commandOutput,
  handle,
  type Peer,
  type RequestHandler,
  type RunCommandParams,
  resizeCommand,
  runCommand,
  signalCommand,
  type TerminalSize,
} from "@farside/protocol";
import * as v from "valibot";

/** Half of a frame: what a command line and its variables may take. */
const MAX_COMMAND_BYTES = 512 * 1024;

export interface RunOptions {
  /** Read for the command's stdin, also its end; stays open. Default: the command reads an end at once. */
  readonly stdin?: Readable | undefined;
  /** Where its output goes, as fast as they take it; they stay open. Default: it is dropped. */
  readonly stdout?: Writable | undefined;
  readonly stderr?: Writable | undefined;
  /** Added to the environment that the agent has and to `FARSIDE_…`. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** A terminal of that size and type is its stdin, stdout and stderr. */
  readonly terminal?: (TerminalSize & { readonly type: string }) | undefined;
  /** Kills it, without grace; `ended` then rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A command that runs on the jump host, as a child of the agent. It never outlives the session. */
export interface RemoteCommand {
  /**
   * How it ended: settles when its process group is gone and its output is written. Rejects with `command.not-found`,
   * `command.not-runnable`, `agent.unsupported-host` (no terminal to be had), or with why the session was lost.
   */
  readonly ended: Promise<CommandExit>;
  /** Sends its process group a signal. Does nothing where it has ended. */
  kill(signal?: CommandSignal): void;
  /** The operator's terminal has that size now. */
  resize(size: TerminalSize): void;
}

/** The commands of one agent, which is hostile: what it sends for a command that does not run is dropped. */
export class RemoteCommands {
  readonly #peer: () => Pick<Peer, "request" | "emit">;
  readonly #running = new Map<number, RunOptions>();
  #lastId = 0;

  constructor(peer: () => Pick<Peer, "request" | "emit">) {
    this.#peer = peer;
  }

  get handler(): RequestHandler {
    return handle(commandOutput, async ({ commandId, stream, data }, { signal }) => {
      const command = this.#running.get(commandId);
      if (command === undefined) return { isOpen: false };
      return { isOpen: await deliver(command[stream], data, signal) };
    });
  }

  /** Throws `usage.invalid` for a command that can't be sent. */
  run(argv: readonly string[], options: RunOptions): RemoteCommand {
    const peer = this.#peer();
    this.#lastId += 1;
    const commandId = this.#lastId;
    const params = checkedParams({ commandId, argv, options });
    // A stream that breaks is told to the command; without a listener it would end the process.
    for (const stream of [options.stdout, options.stderr, options.stdin]) stream?.on("error", ignore);
    this.#running.set(commandId, options);
    const running = peer.request(runCommand, params, { signal: options.signal });
    const input = this.#feed(commandId, options.stdin);
    const ended = running.finally(() => {
      input?.stop();
      this.#running.delete(commandId);
      for (const stream of [options.stdout, options.stderr, options.stdin]) stream?.off("error", ignore);
    });
    // Who only waits for the session learns the same there.
    ended.catch(() => {});
    return {
      ended,
      kill: (signal = "SIGTERM") => {
        if (this.#running.has(commandId)) {
          peer.request(signalCommand, { commandId, signal }).catch(ignore);
        }
      },
      resize: ({ columns, rows }) => peer.emit(resizeCommand, { commandId, columns, rows }, { keep: true }),
    };
  }

  #feed(commandId: number, stdin: Readable | undefined): ChunkPump | undefined {
    const peer = this.#peer();
    const end = () => {
      const last = { commandId, data: new Uint8Array(), isLast: true };
      peer.request(commandInput, last).catch(ignore);
    };
    if (stdin === undefined) {
      end();
      return undefined;
    }
    const pump = new ChunkPump(stdin, (data) =>
      peer.request(commandInput, { commandId, data, isLast: false }),
    );
    void pump.done.then((how) => how === "end" && end());
    return pump;
  }
}

/** Writes `data`; resolves when it is written, with whether more can be. */
async function deliver(
  stream: Writable | undefined,
  data: Uint8Array,
  signal: AbortSignal,
): Promise<boolean> {
  if (stream === undefined) return true;
  if (!stream.writable) return false;
  const written = new Promise<boolean>((resolve) => {
    stream.write(data, (error) => resolve(error === null || error === undefined));
  });
  return abortable(written, signal);
}

function checkedParams({
  commandId,
  argv,
  options: { environment = {}, terminal },
}: {
  commandId: number;
  argv: readonly string[];
  options: RunOptions;
}): RunCommandParams {
  const params = {
    ...{ commandId, argv: [...argv], environment: { ...environment } },
    ...(terminal && { terminal }),
  };
  const texts = [...argv, ...Object.entries(environment).flat()];
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const { success } = v.safeParse(runCommand.params, params);
  if (success && argv[0] !== "" && bytes <= MAX_COMMAND_BYTES) return params;
  throw new CodedError("usage.invalid", "a command that can't be run: it is empty, too long, or holds a NUL");
}

function ignore(): void {}

import type { CommandExit, CommandSignal } from "@farside/protocol";

/** A command that `run` waits for, on JUMP or here. */
export interface RunningCommand {
  /** How it ended, once nothing of it is left. Rejects where it could not be started or was lost. */
  readonly ended: Promise<CommandExit>;
  /** Sends its process group a signal. */
  kill(signal: CommandSignal): void;
  /** Ends all of it: SIGTERM, and SIGKILL after the grace. Resolves when that is done, or is its session's to do. */
  end(graceMs: number): Promise<void>;
}

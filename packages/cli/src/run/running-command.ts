import type { CommandExit, CommandSignal } from "@farside/protocol";

/** A command that `run` waits for, on JUMP or here. */
export interface RunningCommand {
  /** How it ended, once nothing of it is left. Rejects where it could not be started or was lost. */
  readonly ended: Promise<CommandExit>;
  /** Sends its process group a signal. */
  kill(signal: CommandSignal): void;
  /** SIGKILL for all of it after SIGTERM and the grace, where its session does not do that. Resolves when it is done. */
  end(graceMs: number): Promise<void>;
}

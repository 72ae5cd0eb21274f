import type { CodedError, SessionEvent } from "@farside/protocol";
import type { LogLevel } from "./describe-event.ts";

/** Where a command's progress and results go: to people, as JSON lines, or both. Nothing in it throws or blocks. */
export interface Reporter {
  /** What is being done now. */
  step(text: string): void;
  /** How far what is being done has come; for terminals alone. */
  progress(text: string): void;
  event(event: SessionEvent): void;
  /** The error that ends the command. */
  error(error: Pick<CodedError, "code" | "message" | "hint" | "leg">): void;
  log(level: LogLevel, text: string): void;
  /** Leaves the terminal to a prompt; the function that it returns takes it back. */
  pause(): () => void;
  /** Resolves when everything is written, or after a second where nobody reads. */
  close(): Promise<void>;
}

/** Reports to all of `reporters`, in order. */
export function reportToAll(reporters: readonly Reporter[]): Reporter {
  const all = (act: (reporter: Reporter) => void) => {
    for (const reporter of reporters) act(reporter);
  };
  return {
    step: (text) => all((reporter) => reporter.step(text)),
    progress: (text) => all((reporter) => reporter.progress(text)),
    event: (event) => all((reporter) => reporter.event(event)),
    error: (error) => all((reporter) => reporter.error(error)),
    log: (level, text) => all((reporter) => reporter.log(level, text)),
    pause: () => {
      const resumes = reporters.map((reporter) => reporter.pause());
      return () => {
        for (const resume of resumes) resume();
      };
    },
    close: async () => {
      await Promise.all(reporters.map((reporter) => reporter.close()));
    },
  };
}

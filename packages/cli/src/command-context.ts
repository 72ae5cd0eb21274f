import type { Readable, Writable } from "node:stream";
import type { ReadStream } from "node:tty";
import type { Interrupts } from "./interrupts.ts";

/** What a command may touch of the process. `main.ts` makes it; tests make their own. */
export interface CommandContext {
  /** Undefined: none is passed on to a command. */
  readonly stdin?: (Readable & Partial<Pick<ReadStream, "isTTY" | "setRawMode">>) | undefined;
  readonly stdout: Writable & { readonly columns?: number; readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly columns?: number; readonly isTTY?: boolean };
  readonly env: NodeJS.ProcessEnv;
  readonly interrupts: Interrupts;
}

/** A command's own part of the line: yargs parses, the handler hands over its exit code. */
export type TakeExitCode = (exitCode: number) => void;

/** Messages of `run`: a command on the jump host, as a child of the agent. Part of the table in `messages.ts`. */
import * as v from "valibot";
import { type DataOf, defineEvent, defineRequest, type ParamsOf, type ResultOf } from "./define.ts";
import {
  MAX_ARGUMENT_LENGTH,
  MAX_ARGUMENTS,
  MAX_COMMAND_CHUNK_BYTES,
  MAX_COMMAND_VARIABLES,
} from "./limits.ts";

const commandId = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(255));
/** No NUL: the kernel ends a string there. */
const argument = v.pipe(v.string(), v.maxLength(MAX_ARGUMENT_LENGTH), v.regex(/^[^\0]*$/));
const chunk = v.pipe(
  v.instance(Uint8Array as new () => Uint8Array),
  v.check((value) => value.length <= MAX_COMMAND_CHUNK_BYTES, `more than ${MAX_COMMAND_CHUNK_BYTES} bytes`),
);
const cells = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));

/** The signals that a command may be sent. */
export const commandSignals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGKILL"] as const;
export type CommandSignal = (typeof commandSignals)[number];

/** How large a terminal is, in characters. */
export const terminalSize = v.object({ columns: cells, rows: cells });
export type TerminalSize = v.InferOutput<typeof terminalSize>;

/**
 * Run a command in a process group and session of its own. Answered when it has ended, its group is gone and its output
 * is delivered; a cancel kills it.
 */
export const runCommand = defineRequest("command.run", {
  asker: "orchestrator",
  since: 1,
  params: v.object({
    /** Names the command in the other messages; the orchestrator counts. */
    commandId,
    /** The program, looked for on PATH, and its arguments. No shell is involved. */
    argv: v.pipe(v.array(argument), v.minLength(1), v.maxLength(MAX_ARGUMENTS)),
    /** Added to the agent's own. */
    environment: v.pipe(
      v.record(v.pipe(v.string(), v.regex(/^[A-Za-z_][A-Za-z0-9_]*$/), v.maxLength(255)), argument),
      v.check((value) => Object.keys(value).length <= MAX_COMMAND_VARIABLES, "too many variables"),
    ),
    /** A terminal of that size and type is its stdin, stdout and stderr. */
    terminal: v.optional(v.object({ ...terminalSize.entries, type: name })),
  }),
  result: v.object({
    /** As a shell has it: its own, or 128 and the number of the signal that ended it. */
    exitCode: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255)),
    signal: v.optional(name),
  }),
});
export type CommandExit = ResultOf<typeof runCommand>;
export type RunCommandParams = ParamsOf<typeof runCommand>;

/**
 * What the other side of a stream is told about each chunk: answered when it is written. `isOpen` is false where nobody reads
 * any more. Unanswered chunks are the window: the sender has at most MAX_COMMAND_CHUNKS of them on the way.
 */
const taken = v.object({ isOpen: v.boolean() });

/** Bytes for the command's stdin; `isLast` closes it. */
export const commandInput = defineRequest("command.input", {
  asker: "orchestrator",
  since: 1,
  params: v.object({ commandId, data: chunk, isLast: v.boolean() }),
  result: taken,
});

/** Bytes from the command. */
export const commandOutput = defineRequest("command.output", {
  asker: "agent",
  since: 1,
  params: v.object({ commandId, stream: v.picklist(["stdout", "stderr"]), data: chunk }),
  result: taken,
});
export type CommandOutputParams = ParamsOf<typeof commandOutput>;

/** Send the command's process group a signal; nothing happens where it has ended. */
export const signalCommand = defineRequest("command.signal", {
  asker: "orchestrator",
  since: 1,
  params: v.object({ commandId, signal: v.picklist(commandSignals) }),
  result: v.object({}),
});

/** The operator's terminal has another size now. */
export const resizeCommand = defineEvent("command.resize", {
  sender: "orchestrator",
  since: 1,
  data: v.object({ commandId, ...terminalSize.entries }),
});
export type ResizeCommand = DataOf<typeof resizeCommand>;

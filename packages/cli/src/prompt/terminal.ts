import { closeSync, constants, openSync } from "node:fs";
import { isatty, ReadStream, WriteStream } from "node:tty";

/** The terminal that farside belongs to, opened for one question. Disposing leaves it as it was found. */
export interface Terminal extends Disposable {
  readonly input: ReadStream;
  readonly output: WriteStream;
}

/**
 * The controlling terminal, whatever stdin and stderr are, as ssh asks there; else stdin and stderr, where both are
 * terminals; else `undefined`.
 */
export function openTerminal(): Terminal | undefined {
  const inputFd = openControllingTerminal(constants.O_RDONLY);
  const outputFd = openControllingTerminal(constants.O_WRONLY);
  if (inputFd === undefined || outputFd === undefined) {
    for (const fd of [inputFd, outputFd]) if (fd !== undefined) closeSync(fd);
    return standardTerminal();
  }
  // One descriptor each: both streams close theirs.
  const input = new ReadStream(inputFd);
  const output = new WriteStream(outputFd);
  // A terminal that hangs up while it is asked at ends the question by its signal, not by an unhandled error.
  for (const stream of [input, output]) stream.on("error", () => undefined);
  return {
    input,
    output,
    [Symbol.dispose]: () => {
      if (input.isRaw) input.setRawMode(false);
      input.destroy();
      output.destroy();
    },
  };
}

/** Whether there is a terminal to ask at. */
export function hasTerminal(): boolean {
  const fd = openControllingTerminal(constants.O_RDWR);
  if (fd !== undefined) closeSync(fd);
  return fd !== undefined || (isatty(0) && isatty(2));
}

function openControllingTerminal(mode: number): number | undefined {
  try {
    return openSync("/dev/tty", mode | constants.O_NOCTTY);
  } catch {
    return undefined;
  }
}

/** A terminal that isn't ours (another session's leader has it) can still be typed at. It is not closed. */
function standardTerminal(): Terminal | undefined {
  const { stdin: input, stderr: output } = process;
  if (!input.isTTY || !output.isTTY) return undefined;
  return {
    input,
    output,
    [Symbol.dispose]: () => {
      if (input.isRaw) input.setRawMode(false);
      input.pause();
    },
  };
}

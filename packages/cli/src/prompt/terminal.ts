import { closeSync, constants, openSync } from "node:fs";
import { isatty, ReadStream, WriteStream } from "node:tty";

/** The terminal that farside belongs to, opened for one question. Closing leaves it as it was found. */
export interface Terminal extends Disposable {
  readonly input: ReadStream;
  readonly output: WriteStream;
}

/**
 * The controlling terminal, whatever stdin and stderr are, as ssh asks there; else the terminal on stdin, where there is
 * one; else `undefined`.
 */
export function openTerminal(): Terminal | undefined {
  const fd = openControllingTerminal();
  if (fd !== undefined) return terminalOn(fd, fd);
  return isatty(0) ? terminalOn(0, isatty(2) ? 2 : 0) : undefined;
}

/** Whether there is a terminal to ask at. */
export function hasTerminal(): boolean {
  const fd = openControllingTerminal();
  if (fd !== undefined) closeSync(fd);
  return fd !== undefined || isatty(0);
}

function openControllingTerminal(): number | undefined {
  try {
    return openSync("/dev/tty", constants.O_RDWR | constants.O_NOCTTY);
  } catch {
    return undefined;
  }
}

function terminalOn(inputFd: number, outputFd: number): Terminal {
  const input = new ReadStream(inputFd);
  const output = new WriteStream(outputFd);
  // A terminal that hangs up while it is asked at ends the question by its signal, not by an unhandled error.
  input.on("error", () => undefined);
  output.on("error", () => undefined);
  return {
    input,
    output,
    [Symbol.dispose]: () => {
      if (input.isRaw) input.setRawMode(false);
      input.destroy();
      if (outputFd !== inputFd) output.destroy();
    },
  };
}

import type { Writable } from "node:stream";
import ora, { type Ora } from "ora";

/** The part of a terminal's stream that a live line needs. */
export type LiveTerminal = Writable & { readonly columns?: number };

const ERASE_LINE = "\r\u001b[2K";
const REFRESH_MS = 250;
/** Below that there is no line to show, and ora never returns from erasing a line of a terminal with no columns at all. */
const MIN_COLUMNS = 20;

/**
 * The last line of a terminal: a spinner while something is being done, then a text that changes as the session runs.
 * Other lines go above it. Closing erases it.
 */
export class LiveLine {
  readonly #terminal: LiveTerminal;
  readonly #spinner: Ora;
  #shown: (() => string) | undefined;
  #isDrawn = false;
  #pauses = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(terminal: LiveTerminal) {
    this.#terminal = terminal;
    terminal.on("resize", this.#onResize);
    // The terminal's modes and its cursor stay as they are, so that nothing must be put right after a SIGKILL.
    this.#spinner = ora({
      stream: terminal as unknown as NodeJS.WriteStream,
      discardStdin: false,
      hideCursor: false,
      isEnabled: true,
    });
  }

  /** Shows `text` behind a spinner. */
  spin(text: string): void {
    if (this.#isClosed) return;
    this.#erase();
    this.#shown = undefined;
    this.#spinner.text = this.#fitting(text, 2);
    this.#startSpinner();
  }

  /** Shows `mark`, one column wide, and `text`; redrawn at most four times a second. */
  show(mark: string, text: string): void {
    if (this.#isClosed) return;
    this.#stopSpinner();
    this.#spinner.text = "";
    this.#shown = () => `${mark} ${this.#fitting(text, 2)}`;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#draw();
    }, REFRESH_MS).unref();
  }

  /** Shows nothing until there is something again. */
  rest(): void {
    this.#stopSpinner();
    this.#erase();
    this.#spinner.text = "";
    this.#shown = undefined;
  }

  /** Runs `write`, whose whole lines come to stand above this one. */
  above(write: () => void): void {
    // A spinner that runs takes care of this by itself.
    this.#erase();
    write();
    this.#draw();
  }

  /** Takes the line away until the returned function is called. */
  pause(): () => void {
    this.#pauses += 1;
    this.#stopSpinner();
    this.#erase();
    let isPaused = true;
    return () => {
      if (!isPaused) return;
      isPaused = false;
      this.#pauses -= 1;
      if (this.#shown !== undefined) this.#draw();
      else if (this.#spinner.text !== "") this.#startSpinner();
    };
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#terminal.off("resize", this.#onResize);
    this.#stopSpinner();
    this.#erase();
    this.#shown = undefined;
  }

  readonly #onResize = (): void => {
    if (!this.#hasRoom()) this.#stopSpinner();
  };

  #hasRoom(): boolean {
    return (this.#terminal.columns ?? 0) >= MIN_COLUMNS;
  }

  #startSpinner(): void {
    if (this.#pauses === 0 && !this.#isClosed && this.#hasRoom()) this.#spinner.start();
  }

  #stopSpinner(): void {
    if (this.#spinner.isSpinning) this.#spinner.stop();
  }

  #draw(): void {
    if (this.#shown === undefined || this.#pauses > 0 || this.#isClosed || !this.#hasRoom()) return;
    this.#erase();
    this.#terminal.write(this.#shown());
    this.#isDrawn = true;
  }

  #erase(): void {
    if (this.#isDrawn) this.#terminal.write(ERASE_LINE);
    this.#isDrawn = false;
  }

  /** A line that wraps could not be erased. */
  #fitting(text: string, taken: number): string {
    const room = Math.max(MIN_COLUMNS, this.#terminal.columns ?? 0) - taken - 1;
    return text.length <= room ? text : `${text.slice(0, room - 1)}…`;
  }
}

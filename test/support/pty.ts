import type { Lab } from "../lab/lab.ts";
import type { Exit, LabProcess, SpawnOptions } from "../lab/lab-process.ts";
import { waitFor } from "./wait-for.ts";

export const CTRL_C = "\x03";

/** A command in a terminal of its own on the workstation: what is typed goes through the line discipline. */
export class Terminal implements AsyncDisposable {
  readonly process: LabProcess;

  private constructor(process: LabProcess) {
    this.process = process;
  }

  /** `commandLine` is for sh. Interactive input ends with the terminal. */
  static start(lab: Lab, commandLine: string, options: SpawnOptions = {}): Terminal {
    const sized = `stty cols 120 rows 40; exec ${commandLine}`;
    const argv = ["script", "--quiet", "--flush", "--return", "--command", sized, "/dev/null"];
    return new Terminal(
      lab.workstation.spawn(argv, {
        ...options,
        env: { TERM: "xterm-256color", ...lab.cardEnvironment, ...options.env },
      }),
    );
  }

  /** What the terminal shows, escape sequences and all. */
  get text(): string {
    return this.process.stdout;
  }
  get exit(): Promise<Exit> {
    return this.process.exit;
  }

  type(text: string): void {
    this.process.stdin.write(text);
  }

  async waitForText(pattern: RegExp, withinMs = 30_000): Promise<void> {
    const found = await waitFor(() => pattern.test(this.text) || this.process.hasEnded, {
      what: `${pattern} in the terminal`,
      withinMs,
      detail: () => this.text,
    });
    // What it said last may come after the word of its end.
    if (found && this.process.hasEnded) await this.exit;
    if (!pattern.test(this.text))
      throw new Error(`it ended without ${pattern} in the terminal\n${this.text}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.kill();
  }
}

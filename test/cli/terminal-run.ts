import { spawn } from "node:child_process";
import { stripVTControlCharacters } from "node:util";
import { waitFor } from "../support/wait-for.ts";
import { CliRun, cliPath } from "./run-cli.ts";

export const CTRL_C = "\u0003";
export const CTRL_D = "\u0004";
export const CTRL_Z = "\u001a";

const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;

export interface TerminalRunOptions {
  /** What `stty` is told first. */
  readonly size?: string;
  readonly isContinued?: boolean;
  /** A file for the exit code of a farside whose terminal was closed. */
  readonly codeFile?: string;
}

/** farside in a terminal of its own; its exit code and the terminal's modes afterwards are printed behind what it prints. */
export class TerminalRun implements AsyncDisposable {
  readonly run: CliRun;

  /** `isContinued`: what Ctrl-Z stops is told, and goes on at once, as with `fg` in a shell. */
  constructor(
    argv: readonly string[],
    env: NodeJS.ProcessEnv,
    { size = "cols 120 rows 40", isContinued = false, codeFile }: TerminalRunOptions = {},
  ) {
    const line = [process.execPath, cliPath, ...argv].map(quoted).join(" ");
    const modes = "stty -a | grep -o -- '-\\{0,1\\}icanon\\|-\\{0,1\\}echo\\>' | tr '\\n' ' '";
    // The shell gets the Ctrl-C too, and must outlive it to tell the rest.
    const job = isContinued ? `set -m; ${line}; echo stopped; fg` : line;
    // What is closed tells the shell, which hands it on and waits for the end.
    const outlived = `${line} & trap "kill -HUP $!" HUP; wait $!; wait $!; echo $? > ${quoted(codeFile ?? "")}`;
    const script = `trap : INT; stty ${size}; ${codeFile === undefined ? job : outlived}; echo "exit $?"; echo "modes $(${modes})"`;
    this.run = new CliRun(
      spawn("script", ["--quiet", "--flush", "--return", "--command", script, "/dev/null"], {
        stdio: ["pipe", "pipe", "pipe"],
        env: { ...env, TERM: "xterm-256color" },
        detached: true,
      }),
    );
  }

  /** What was shown, without escape sequences. */
  get text(): string {
    return stripVTControlCharacters(this.run.stdout);
  }

  async shows(pattern: RegExp): Promise<void> {
    const detail = () => JSON.stringify(this.run.stdout.slice(-4000));
    await waitFor(() => pattern.test(this.text), { what: String(pattern), withinMs: 30_000, detail });
  }

  type(text: string): void {
    this.run.process.stdin?.write(text);
  }

  /** Everything that was shown, once farside has ended. */
  async end(): Promise<string> {
    await this.shows(/modes [^\n]*\n/);
    return this.text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.run.process.stdin?.end();
    await this.run[Symbol.asyncDispose]();
  }
}

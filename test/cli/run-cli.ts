import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export const cliPath = fileURLToPath(new URL("../../packages/cli/dist/main.js", import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The built command line, with its output as it comes. `process` is killed where it outlives the test's scope. */
export class CliRun implements AsyncDisposable {
  readonly process: ChildProcess;
  readonly result: Promise<CliResult>;
  stdout = "";
  stderr = "";

  constructor(process: ChildProcess) {
    this.process = process;
    process.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.result = once(process, "close").then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill("SIGKILL");
    await this.result;
  }
}

/** Environment without what would make the run depend on who runs it. */
export function plainEnvironment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env;
  return { PATH, HOME, LC_ALL: "C.UTF-8", ...more };
}

/** Starts the built command line. No terminal, an empty stdin, and a plain environment unless `options` say otherwise. */
export function startCli(argv: readonly string[], options: SpawnOptions = {}): CliRun {
  return new CliRun(
    spawn(process.execPath, [cliPath, ...argv], {
      stdio: ["ignore", "pipe", "pipe"],
      env: plainEnvironment(),
      // Without a controlling terminal nothing can be asked.
      detached: true,
      ...options,
    }),
  );
}

/** Runs the built command line to its end. */
export async function runCli(argv: readonly string[], options: SpawnOptions = {}): Promise<CliResult> {
  await using run = startCli(argv, options);
  return await run.result;
}

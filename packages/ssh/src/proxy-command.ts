import { type ChildProcess, spawn } from "node:child_process";
import { Duplex } from "node:stream";
import { CodedError, harmless } from "@farside/protocol";

const keptStderrBytes = 4096;
/** How long a command whose connection is closed may take to end by itself. */
const endTimeoutMs = 1_000;

/**
 * The stdio of a ProxyCommand as a connection. The command runs in a process group of its own, which ends with the
 * stream: SIGTERM at once, SIGKILL a second later. When it ends first, the stream fails with what it said on stderr.
 */
export class ProxyCommandStream extends Duplex {
  readonly #child: ChildProcess & { stdin: NodeJS.WritableStream };
  readonly #command: string;
  #stderr = "";
  #isGone = false;
  #hasEnded = false;

  /** `command` goes to the user's shell, as ssh does it: `$SHELL -c "exec command"`. */
  constructor(command: string) {
    super({ allowHalfOpen: true });
    this.#command = command;
    const shell = process.env["SHELL"] || "/bin/sh";
    const child = spawn(shell, ["-c", `exec ${command}`], {
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    this.#child = child;
    // It may fail before anybody listens.
    this.on("error", () => {});
    child.stdout.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) child.stdout.pause();
    });
    // The exit follows at once, as a rule, and says why; only a command that lives on without stdout is a plain end.
    child.stdout.on("end", () => {
      const timer = setTimeout(() => this.#endReading(), endTimeoutMs);
      child.once("close", () => clearTimeout(timer));
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      this.#stderr = (this.#stderr + chunk).slice(-keptStderrBytes);
    });
    // The exit tells more than a broken pipe.
    child.stdin.on("error", () => {});
    child.on("error", (error) => this.destroy(this.#failure(error.message)));
    child.on("close", (code, signal) => {
      this.#isGone = true;
      if (this.destroyed) return;
      if (code === 0) this.#endReading();
      else this.destroy(this.#failure(`it ended with ${signal ?? code}`));
    });
  }

  override _read(): void {
    this.#child.stdout?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#child.stdin.write(chunk, () => done());
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#child.stdin.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#kill("SIGTERM");
    const timer = setTimeout(() => this.#kill("SIGKILL"), endTimeoutMs);
    this.#child.once("close", () => clearTimeout(timer));
    done(error);
  }

  #endReading(): void {
    if (!this.#hasEnded) this.push(null);
    this.#hasEnded = true;
  }

  #kill(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined || this.#isGone) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // The group is gone already.
    }
  }

  #failure(what: string): CodedError {
    const said = harmless(this.#stderr.trim().split("\n").at(-1) ?? "");
    return new CodedError(
      "hop.unreachable",
      `connecting by ProxyCommand "${harmless(this.#command)}": ${what}${said === "" ? "" : ` (${said})`}`,
    );
  }
}

import { execFile } from "node:child_process";
import { CodedError, harmless } from "@farside/protocol";

const COMMAND_TIMEOUT_MS = 90_000;
const MAX_SAID = 600;

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The manager of this user's services, as `systemctl --user` reaches it, also from a login without PAM's environment. */
export class ServiceManager {
  readonly #environment: NodeJS.ProcessEnv;

  constructor(uid: number, environment: NodeJS.ProcessEnv = process.env) {
    this.#environment = {
      ...environment,
      XDG_RUNTIME_DIR: `/run/user/${uid}`,
      SYSTEMD_PAGER: "cat",
      LC_ALL: "C",
    };
  }

  /** Rejects with `agent.start-failed`, saying what systemctl said. */
  async run(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.try(...args);
    if (code === 0) return stdout;
    const said = harmless(stderr.trim().split("\n").slice(0, 3).join(" "), MAX_SAID);
    throw new CodedError("agent.start-failed", `systemctl --user ${args.join(" ")}: ${said}`, {
      leg: "jump",
    });
  }

  try(...args: readonly string[]): Promise<CommandResult> {
    return this.#exec("systemctl", ["--user", ...args]);
  }

  /** `active`, `failed`, `activating` … of a unit. */
  async state(unit: string): Promise<string> {
    const { stdout } = await this.try("is-active", unit);
    return stdout.trim() || "unknown";
  }

  /** The last lines of a unit's journal; empty where this user may not read it. */
  async lastWords(unit: string, lines: number): Promise<string> {
    const { stdout } = await this.#exec("journalctl", [
      "--user",
      "-u",
      unit,
      "-n",
      String(lines),
      "-o",
      "cat",
      "-q",
    ]);
    return stdout;
  }

  #exec(command: string, args: readonly string[]): Promise<CommandResult> {
    const options = { env: this.#environment, timeout: COMMAND_TIMEOUT_MS, maxBuffer: 1024 * 1024 };
    return new Promise((resolve) => {
      execFile(command, [...args], options, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
        resolve({ code, stdout, stderr: stderr || (error?.message ?? "") });
      });
    });
  }
}

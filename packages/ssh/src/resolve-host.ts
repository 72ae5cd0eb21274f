import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { CodedError, harmless } from "@farside/protocol";
import { parseConfigOutput } from "./config-output.ts";
import { type ConfigValues, interpretConfig } from "./config-values.ts";
import type { HostConfig } from "./host-config.ts";

const timeoutMs = 10_000;
const maxOutputBytes = 256 * 1024;

export interface ResolveOptions {
  /** Instead of the user's and the system's configuration (`ssh -F`). */
  readonly configFile?: string | undefined;
  /** `-l` and `-p`: they win over the configuration. */
  readonly user?: string | undefined;
  readonly port?: number | undefined;
  /** `-o KEY=VALUE`: they win over the configuration. */
  readonly overrides?: Readonly<Record<string, string>> | undefined;
  /** The user's own configuration, looked into only for whether it has to be told from the system's. Default: where ssh has it. */
  readonly userFile?: string | undefined;
  /** The ssh(1) to ask; default `ssh` on PATH. */
  readonly sshProgram?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What ssh_config says about `alias`, by asking `ssh -G`, so that Match, Include and canonicalisation mean what they mean
 * to ssh. Where no ssh is installed, a parser library reads the same files. Rejects with `config.invalid` or `timeout`.
 */
export async function resolveHost(alias: string, options: ResolveOptions = {}): Promise<HostConfig> {
  // A leading dash would be an option of ssh, and a control character a line of its output.
  if (alias === "" || alias.startsWith("-") || /[\s\p{C}]/u.test(alias))
    throw new CodedError("config.invalid", `"${harmless(alias)}" is not a host name`);
  const { configFile, sshProgram, signal } = options;
  // Asked at the same time: most distributions have such a default, and each ssh takes its time to start.
  const hasSystemFile = configFile === undefined && existsSync(systemConfigFile);
  const isOwn = hasSystemFile && mayBeOfUser(distributionDefault, options);
  const onlySystem = { configFile: systemConfigFile, sshProgram, signal };
  const [values, systemValues] = await Promise.all([
    valuesFor(alias, options),
    isOwn ? valuesFor(alias, onlySystem).catch(() => undefined) : undefined,
  ]);
  const config = interpretConfig(alias, values);
  if (!hasSystemFile || !config.unsupported.includes(distributionDefault)) return config;
  const isSystems = () =>
    systemValues !== undefined &&
    interpretConfig(alias, systemValues).unsupported.includes(distributionDefault);
  if (isOwn && !isSystems()) return config;
  return { ...config, unsupported: config.unsupported.filter((name) => name !== distributionDefault) };
}

/** In the home of the account, whatever $HOME says. */
function ownConfigFile(): string {
  return join(userInfo().homedir, ".ssh/config");
}

/** Whether the user can have said anything of `option`: on the command line, in their own file, or in one that it includes. Else ssh need not be asked. */
function mayBeOfUser(
  option: string,
  { overrides = {}, userFile = ownConfigFile() }: ResolveOptions,
): boolean {
  if (Object.keys(overrides).some((key) => key.toLowerCase() === option.toLowerCase())) return true;
  try {
    return new RegExp(`${option}|^\\s*include\\b`, "im").test(readFileSync(userFile, "utf8"));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ENOENT";
  }
}

/**
 * Debian and Fedora switch it on for everybody in the system's file. It is one more way to log in, not asked for by the
 * user and not missed where a key works, so only a user's own line is worth a warning.
 */
const distributionDefault = "GSSAPIAuthentication";
const systemConfigFile = "/etc/ssh/ssh_config";

async function valuesFor(alias: string, options: ResolveOptions): Promise<ConfigValues> {
  const output = await askSsh(alias, options);
  if (output !== undefined) return parseConfigOutput(alias, output);
  const { readConfigFiles } = await import("./config-files.ts");
  return readConfigFiles(alias, options);
}

/** What ssh has said lately, by its program and arguments. One start asks the same several times. */
const answers = new Map<string, string>();
const keptMs = 1_000;

async function askSsh(alias: string, options: ResolveOptions): Promise<string | undefined> {
  const args = argumentsFor(alias, options);
  const key = JSON.stringify([options.sshProgram, args]);
  const known = answers.get(key);
  options.signal?.throwIfAborted();
  if (known !== undefined) return known;
  const answer = await runSsh(alias, args, options);
  if (answer !== undefined) {
    answers.set(key, answer);
    setTimeout(() => answers.delete(key), keptMs).unref();
  }
  return answer;
}

function argumentsFor(alias: string, { configFile, user, port, overrides = {} }: ResolveOptions): string[] {
  return [
    "-G",
    ...(configFile === undefined ? [] : ["-F", configFile]),
    ...(user === undefined ? [] : ["-l", user]),
    ...(port === undefined ? [] : ["-p", String(port)]),
    ...Object.entries(overrides).flatMap(([key, value]) => ["-o", `${key}=${value}`]),
    "--",
    alias,
  ];
}

/** What `ssh -G` prints, or undefined where there is no ssh. */
function runSsh(
  alias: string,
  args: readonly string[],
  { sshProgram, signal }: ResolveOptions,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason);
    // A group of its own: Ctrl-C is for farside, and what a `Match exec` started ends with it.
    const child = spawn(sshProgram ?? "ssh", args, {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const output = { stdout: "", stderr: "" };
    let timer: NodeJS.Timeout | undefined;
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", aborted);
      settle();
    };
    const giveUp = (error: unknown) => {
      if (child.pid !== undefined) killGroup(child.pid);
      finish(() => reject(error));
    };
    const aborted = () => giveUp(signal?.reason);
    const failure = (what: string) =>
      new CodedError("config.invalid", `reading ssh_config for ${alias}: ${what}`);
    timer = setTimeout(
      () =>
        giveUp(
          new CodedError(
            "timeout",
            `reading ssh_config for ${alias}: ssh -G took longer than ${timeoutMs / 1000} s`,
          ),
        ),
      timeoutMs,
    );
    signal?.addEventListener("abort", aborted, { once: true });
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (chunk: string) => {
        output[name] += chunk;
        if (output[name].length > maxOutputBytes) giveUp(failure("ssh -G prints too much"));
      });
    }
    child.on("error", (error: NodeJS.ErrnoException) =>
      finish(() => (error.code === "ENOENT" ? resolve(undefined) : reject(failure(error.message)))),
    );
    child.on("close", (code) => {
      if (code === 0) finish(() => resolve(output.stdout));
      else finish(() => reject(failure(complaintOf(output.stderr) || `ssh -G ended with ${code}`)));
    });
  });
}

/** The first line of ssh's that is about the configuration. */
function complaintOf(stderr: string): string {
  const line = stderr.split("\n").find((text) => text !== "" && !text.startsWith("Pseudo-terminal"));
  return harmless(line?.trim() ?? "", 300);
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It is gone already.
  }
}

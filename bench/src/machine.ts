import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { cpus, release, totalmem } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { checkout } from "@farside/test/lab/lab";

/** What numbers are worth nothing without. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGB: number;
  readonly kernel: string;
  readonly system: string;
  /** Name and version of each program that was measured. */
  readonly programs: readonly string[];
}

export async function describeMachine(): Promise<Machine> {
  const system = /^PRETTY_NAME="(.*)"$/m.exec(await readFile("/etc/os-release", "utf8"))?.[1] ?? "Linux";
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGB: Math.round(totalmem() / 1e9),
    kernel: release(),
    system,
    programs: [
      `Node ${process.versions.node}`,
      `OpenSSL ${process.versions.openssl} in Node`,
      (await firstLine("ssh", "-V")).split(",").slice(0, 2).join(","),
      `socat ${/version (\S+)/.exec(await output("socat", "-V"))?.[1] ?? ""}`,
      (await firstLine("haproxy", "-v")).split(" ").slice(0, 3).join(" "),
      `AsyncSSH ${await firstLine("/usr/bin/python3", "-c", "import asyncssh; print(asyncssh.__version__)")}`,
    ],
  };
}

/** The commit that is checked out, with `+` where files differ from it. */
export async function describeCommit(): Promise<string> {
  const commit = await firstLine("git", "-C", checkout, "rev-parse", "--short", "HEAD");
  const changes = await output("git", "-C", checkout, "status", "--porcelain", "--", "packages");
  return changes === "" ? commit : `${commit}+`;
}

/** How much of all cores others use at present, 0 to 1: looked at for a second. */
export async function busyShare(): Promise<number> {
  const before = await cpuTimes();
  await delay(1000);
  const after = await cpuTimes();
  return 1 - (after.idle - before.idle) / (after.all - before.all);
}

async function cpuTimes(): Promise<{ idle: number; all: number }> {
  const line = (await readFile("/proc/stat", "utf8")).split("\n")[0] ?? "";
  const times = line.split(/\s+/).slice(1, 9).map(Number);
  const [, , , idle = 0, waiting = 0] = times;
  return { idle: idle + waiting, all: times.reduce((sum, time) => sum + time, 0) };
}

async function output(command: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(command, args).catch(() => ({
    stdout: "",
    stderr: "",
  }));
  return stdout === "" ? stderr : stdout;
}

const firstLine = async (command: string, ...args: string[]): Promise<string> =>
  (await output(command, ...args)).split("\n")[0] ?? "";

import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { RUN_VARIABLE } from "../command/command-table.ts";
import { removeStaleSockets, type StaleSocketsOptions } from "./stale-sockets.ts";

/** What open relays get at most; each session's own `--grace` may be shorter. */
const GRACE_MS = 10_000;
/** Between a SIGTERM that ends the grace and SIGKILL. */
const TERM_TIMEOUT_MS = 1_500;
const KILL_TIMEOUT_MS = 1_500;
const LOOK_INTERVAL_MS = 50;

export interface TeardownHereOptions extends StaleSocketsOptions {
  readonly graceMs?: number | undefined;
  /** Folder of the installed agents' folders: those agents stay. */
  readonly installedRoot: string;
}

/** What is left, one line an item. */
export interface Left {
  readonly processes: readonly string[];
  readonly files: readonly string[];
}

interface AgentProcess {
  readonly pid: number;
  readonly title: string;
}

/**
 * Ends every farside agent of this user on this host with all that it has started, and removes sockets that nobody answers on;
 * installed agents stay. Open relays have the grace of their session. Idempotent. Never rejects; resolves with what is left.
 */
export async function teardownHere(options: TeardownHereOptions): Promise<Left> {
  const kept = await installedRuns(options.installedRoot);
  const look = () => agentProcesses(options.uid, kept);
  /** Sends the signal to each, once: a second one would end its grace. */
  const end = async (signal: NodeJS.Signals, withinMs: number) => {
    const endsAt = performance.now() + withinMs;
    const told = new Set<number>();
    for (let found = await look(); found.length > 0; found = await look()) {
      for (const { pid } of found) if (!told.has(pid)) send(pid, signal);
      for (const { pid } of found) told.add(pid);
      if (performance.now() > endsAt) return;
      await wait(LOOK_INTERVAL_MS);
    }
  };
  await end("SIGTERM", options.graceMs ?? GRACE_MS);
  await end("SIGTERM", TERM_TIMEOUT_MS);
  await end("SIGKILL", KILL_TIMEOUT_MS);
  const files = await removeStaleSockets(options);
  const processes = (await look()).map(({ pid, title }) => `process ${pid} ${title}`);
  return { processes, files };
}

/** The marks of installed agents. */
async function installedRuns(root: string): Promise<ReadonlySet<string>> {
  const names = await readdir(root).catch(() => []);
  const records = await Promise.all(
    names.map((name) => readFile(path.join(root, name, "install.json"), "utf8").catch(() => "")),
  );
  return new Set(records.flatMap((text) => /"run":\s*"([0-9a-f]{32})"/.exec(text)?.[1] ?? []));
}

async function agentProcesses(uid: number, kept: ReadonlySet<string>): Promise<AgentProcess[]> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => agentProcess(Number(pid), uid, kept)));
  return found.filter((each) => each !== undefined);
}

async function agentProcess(
  pid: number,
  uid: number,
  kept: ReadonlySet<string>,
): Promise<AgentProcess | undefined> {
  if (pid === process.pid) return undefined;
  try {
    const folder = `/proc/${pid}`;
    const [stat, environ, status] = await Promise.all([
      readFile(`${folder}/stat`, "latin1"),
      readFile(`${folder}/environ`, "latin1"),
      readFile(`${folder}/status`, "latin1"),
    ]);
    const run = new RegExp(`(?:^|\0)${RUN_VARIABLE}=([0-9a-f]{32})(?:\0|$)`).exec(environ)?.[1];
    const owner = Number(/^Uid:\s+(\d+)/m.exec(status)?.[1] ?? Number.NaN);
    const isDead = /\) [ZX] /.test(stat);
    if (run === undefined || kept.has(run) || owner !== uid || isDead) return undefined;
    return { pid, title: /\((.*)\)/s.exec(stat)?.[1] ?? "" };
  } catch {
    // It ended while it was looked at, or is not ours to look at.
    return undefined;
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone.
  }
}

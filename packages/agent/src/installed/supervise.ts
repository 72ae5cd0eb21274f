import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as wait } from "node:timers/promises";
import { prepareProcess } from "../agent-process.ts";
import { Log } from "../log.ts";
import { placesIn } from "./agent-folder.ts";
import { lockHolder, takeLock } from "./process-lock.ts";
import { mayStart } from "./start-limit.ts";

/** An upgrade leaves a process that is not our child: then only its lock tells of its end. */
const LOOK_INTERVAL_MS = 1_000;
const RESTART_PAUSE_MS = 2_000;
/** A configuration that is not valid does not become so by another start. */
const NOT_AGAIN = 78;
const STOP_TIMEOUT_MS = 15_000;

/** Where there is no systemd: keeps the agent of `folder` running, as one process of its user at a time. */
export async function supervise(folder: string): Promise<void> {
  const places = placesIn(folder);
  const log = new Log(process.stderr);
  prepareProcess(log);
  process.title = `farside-supervisor ${places.name}`;
  if (!(await takeLock(places.supervisorLock))) {
    log.info("another supervisor runs already");
    process.exit(0);
  }
  const stopping = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stopping.abort());
  process.on("SIGHUP", () => undefined);
  const starts: number[] = [];
  let child: ChildProcess | undefined;
  while (!stopping.signal.aborted) {
    const isDown =
      (await lockHolder(places.agentLock)) === undefined && (child === undefined || hasEnded(child));
    if (isDown) {
      if (child?.exitCode === NOT_AGAIN) break;
      if (!mayStart(starts, Date.now())) {
        log.error("the agent was started too often; it stays down");
        break;
      }
      if (child !== undefined) await pause(RESTART_PAUSE_MS, stopping.signal);
      if (stopping.signal.aborted) break;
      log.info("starting the agent");
      child = spawn(process.execPath, [places.start, "serve", folder], {
        stdio: ["ignore", "inherit", "inherit"],
      });
      child.on("error", ({ message }) => log.error("starting the agent failed", { error: message }));
    }
    await pause(LOOK_INTERVAL_MS, stopping.signal, child);
  }
  await stop(places.agentLock, child);
  process.exit(0);
}

/** Resolves after `ms`, when `signal` aborts, or when `child` ends. */
async function pause(ms: number, signal: AbortSignal, child?: ChildProcess): Promise<void> {
  const over = new AbortController();
  const end = () => over.abort();
  signal.addEventListener("abort", end, { once: true });
  child?.once("exit", end);
  await wait(ms, undefined, { signal: over.signal }).catch(() => undefined);
  signal.removeEventListener("abort", end);
  child?.off("exit", end);
}

/** The process that serves, whoever started it; one that has not come so far is ours. */
async function stop(lock: string, child: ChildProcess | undefined): Promise<void> {
  const running = async (): Promise<number | undefined> =>
    (await lockHolder(lock))?.pid ?? (child === undefined || hasEnded(child) ? undefined : child.pid);
  const until = Date.now() + STOP_TIMEOUT_MS;
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    const pid = await running();
    if (pid === undefined) return;
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }
    while (Date.now() < until && (await running()) !== undefined) await wait(50);
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

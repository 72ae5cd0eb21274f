import { Worker } from "node:worker_threads";

/** How long the process may take to end by itself (and to reset the card) once its parent is gone. */
const GRACE_MS = 2_000;

/**
 * Plain JavaScript, so that it runs the same from source, from dist and from a bundle. A thread of its own, because the
 * main one may be inside a module that never returns, and no signal handler of Node runs then.
 */
const watchdogScript = `
const { Socket } = require("node:net");
const { workerData } = require("node:worker_threads");
let isGone = false;
const parentIsGone = () => {
  if (isGone) return;
  isGone = true;
  setTimeout(() => process.kill(process.pid, "SIGKILL"), workerData.graceMs);
};
const lifeline = new Socket({ fd: 0, readable: true, writable: false });
lifeline.on("error", parentIsGone).on("end", parentIsGone).on("close", parentIsGone).resume();
`;

/**
 * Kills this process soon after stdin has ended, whatever its main thread is doing: the parent holds the other end and
 * the kernel closes it even when the parent is killed.
 */
export function startWatchdog(): Worker {
  const worker = new Worker(watchdogScript, {
    eval: true,
    workerData: { graceMs: GRACE_MS },
    // Flags of the main thread (a loader for TypeScript) have no business in there.
    execArgv: [],
    stdin: false,
  });
  worker.unref();
  return worker;
}

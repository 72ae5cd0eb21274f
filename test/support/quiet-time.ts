import { readFileSync } from "node:fs";

/**
 * `performance.now()`, less all time in which some process of the machine was ready to run and had to wait for a CPU: for bounds that hold where
 * nothing else runs. Where the kernel does not tell (PSI), nothing is taken off.
 */
export function quietNow(): number {
  return performance.now() - waitedForCpuMs();
}

function waitedForCpuMs(): number {
  try {
    const microseconds = /^some .*total=(\d+)$/m.exec(readFileSync("/proc/pressure/cpu", "utf8"))?.[1];
    return Number(microseconds ?? 0) / 1000;
  } catch {
    return 0;
  }
}

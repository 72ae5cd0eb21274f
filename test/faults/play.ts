import { type CycleReport, runCycle } from "./cycle.ts";
import { FaultLab } from "./fault-lab.ts";
import { type Fault, faults } from "./faults.ts";
import { type Phase, phases } from "./phases.ts";

export interface Cycle {
  readonly phase: Phase;
  readonly fault: Fault;
}

/** Every fault at every phase where it makes sense. */
export const allCycles: readonly Cycle[] = phases.flatMap((phase) =>
  faults.filter(({ applies }) => applies?.(phase) ?? true).map((fault) => ({ phase, fault })),
);

/** The cycle of that phase and a fault with that name. */
export function cycleOf(phase: Phase, name: string): Cycle {
  const found = allCycles.find((cycle) => cycle.phase === phase && cycle.fault.name === name);
  if (found === undefined) throw new Error(`no fault "${name}" at ${phase}`);
  return found;
}

/**
 * Plays `cycles` on `labs` labs at a time. A lab in which a cycle left something is not used again, so that each problem is
 * one cycle's own.
 */
export async function playCycles(
  cycles: readonly Cycle[],
  { labs, onReport }: { labs: number; onReport?: (report: CycleReport) => void },
): Promise<CycleReport[]> {
  const queue = cycles.map((cycle, index) => ({ ...cycle, name: `cycle-${index + 1}` }));
  const reports: CycleReport[] = [];
  const work = async (): Promise<void> => {
    let faultLab: FaultLab | undefined;
    try {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        faultLab ??= await FaultLab.start();
        const report = await runCycle(faultLab, next.phase, next.fault, next.name);
        reports.push(report);
        onReport?.(report);
        if (report.problems.length === 0) continue;
        await faultLab[Symbol.asyncDispose]();
        faultLab = undefined;
      }
    } finally {
      await faultLab?.[Symbol.asyncDispose]();
    }
  };
  await Promise.all(Array.from({ length: labs }, work));
  return reports;
}

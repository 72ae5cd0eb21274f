import { afterAll, beforeAll, beforeEach } from "vitest";
import { type Lab, type LabOptions, startLab } from "../lab/lab.ts";

/** One lab for the tests of a `describe`; before each, its hosts' state is marked and its card counts from zero. */
export function useLab(options: LabOptions, take: (lab: Lab) => void): void {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab(options);
    take(lab);
  });
  afterAll(() => lab?.close());
  beforeEach(async () => {
    await Promise.all([lab.jump.mark(), lab.target.mark()]);
    await lab.card.resetCounters();
  });
}

/** How often the lab's card has signed, and how often a PIN was entered. */
export async function cardUse(lab: Lab): Promise<{ readonly pins: number; readonly signatures: number }> {
  const { verifies, signs } = await lab.card.counters();
  return { pins: verifies, signatures: Object.values(signs).reduce((sum, count) => sum + count, 0) };
}

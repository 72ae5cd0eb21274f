import { describe, test } from "vitest";

/** A lab's hosts are made of namespaces, which takes root; without, its tests are skipped, and the last lines of the run say why. */
const isRoot = process.getuid?.() === 0;
const named = (name: string): string => (isRoot ? name : `${name} [needs root]`);

export function describeLab(name: string, tests: () => void): void {
  describe.skipIf(!isRoot)(named(name), tests);
}

export function testLab(name: string, run: () => Promise<void>, timeoutMs?: number): void {
  test.skipIf(!isRoot)(named(name), run, timeoutMs);
}

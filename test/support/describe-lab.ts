import { describe, test } from "vitest";

/** A lab's hosts are made of namespaces, which takes root; without, its tests are skipped (and counted so). */
const isRoot = process.getuid?.() === 0;
export const describeLab: (name: string, tests: () => void) => void = describe.skipIf(!isRoot);
export const testLab: (name: string, run: () => Promise<void>, timeoutMs?: number) => void = test.skipIf(
  !isRoot,
);

import { describe, test } from "vitest";

/** A lab's hosts are made of namespaces, which takes root; without, its tests are skipped (and counted so). */
const isRoot = process.getuid?.() === 0;
export const describeLab = describe.skipIf(!isRoot);
export const testLab = test.skipIf(!isRoot);

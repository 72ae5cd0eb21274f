import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BUNDLE_FILE, CODE_CACHE_FILE, runBundle } from "./run-bundle.ts";

const MARK = "farsideBundleTest";
let folder: string;
let main: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-bundle-"));
  main = pathToFileURL(join(folder, "main.js")).href;
});
afterEach(async () => {
  delete (globalThis as Record<string, unknown>)[MARK];
  await rm(folder, { recursive: true });
});

const ran = (): unknown => (globalThis as Record<string, unknown>)[MARK];
const writeBundle = () =>
  writeFile(
    join(folder, BUNDLE_FILE),
    `globalThis.${MARK} = [__dirname, require("node:path").basename(__filename)]; // ends in a comment`,
  );

test("the bundle beside the module runs, with its own place in the file system", async () => {
  await writeBundle();
  expect(runBundle(main)).toBe(true);
  expect(ran()).toEqual([folder, BUNDLE_FILE]);
});

test("without a bundle nothing runs", () => {
  expect(runBundle(main)).toBe(false);
  expect(ran()).toBeUndefined();
});

test("a bundle that is older than what tsc has built does not run", async () => {
  await writeBundle();
  await writeFile(join(folder, ".tsbuildinfo"), "{}");
  await utimes(join(folder, BUNDLE_FILE), 1, 1);
  expect(runBundle(main)).toBe(false);
  expect(ran()).toBeUndefined();
});

test("a code cache that is damaged or of another V8 is passed over", async () => {
  await writeBundle();
  await writeFile(join(folder, CODE_CACHE_FILE), Buffer.alloc(200, 7));
  expect(runBundle(main)).toBe(true);
  expect(ran()).toBeDefined();
});

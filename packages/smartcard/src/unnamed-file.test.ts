import { closeSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { unnamedFile } from "./unnamed-file.ts";

test("can be read through its descriptor, more than once, and is in no folder", () => {
  const folder = mkdtempSync(join(tmpdir(), "farside-unnamed-"));
  const descriptor = unnamedFile("text\n", folder);
  try {
    expect(readdirSync(folder)).toEqual([]);
    for (let count = 0; count < 2; count += 1)
      expect(readFileSync(`/proc/self/fd/${descriptor}`, "utf8")).toBe("text\n");
  } finally {
    closeSync(descriptor);
    rmSync(folder, { recursive: true });
  }
});

test("is made in the usual folder where the wanted one can't be written to", () => {
  const descriptor = unnamedFile("", "/proc/no-such-folder");
  expect(descriptor).toBeGreaterThan(2);
  closeSync(descriptor);
});

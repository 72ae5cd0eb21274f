import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const read = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), "utf8");

test("what docs/many-jump-hosts.md shows stands in the program that a test runs", () => {
  const [, shown = ""] = /```ts\n(.*?)```/s.exec(read("docs/many-jump-hosts.md")) ?? [];
  const lines = shown.split("\n").filter((line) => line !== "" && !line.startsWith("// "));
  expect(lines.length).toBeGreaterThan(5);
  const program = read("packages/cli/examples/many-jump-hosts.ts").split("\n");
  const has = new Set(program.map((line) => line.trim()));
  expect(lines.filter((line) => !has.has(line.trim()))).toEqual([]);
});

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { affectedPackages, installedPackages, type Lock, readKnownWeaknesses } from "./known-weaknesses.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const page = read("docs/known-weaknesses.md");
const weaknesses = readKnownWeaknesses(page);
const lock = JSON.parse(read("package-lock.json")) as Lock;

test("no package of the lock has a weakness that docs/known-weaknesses.md knows", () => {
  expect(affectedPackages(lock, weaknesses)).toEqual([]);
});

test("each row of docs/known-weaknesses.md is read, and is of a package that the lock has", () => {
  const rows = page.split("\n").filter((line) => /^\| (?!package|---)/.test(line));
  expect(weaknesses).toHaveLength(rows.length);
  const installed = new Set(installedPackages(lock).map(({ name }) => name));
  expect(weaknesses.filter((known) => !installed.has(known.package))).toEqual([]);
});

test("a version that is affected is found wherever it stands, and under whatever name", () => {
  const packages = {
    "": { name: "farside-workspace", version: "1.0.0" },
    "packages/tar": { name: "tar", version: "1.0.0" },
    "node_modules/tar": { version: "7.5.23" },
    "node_modules/lerna/node_modules/tar": { version: "7.5.11" },
    "node_modules/archives": { name: "tar", version: "7.6.0-pre.1" },
    "node_modules/linked": {},
  };
  const known = readKnownWeaknesses("| tar | `<7.5.21 \\|\\| >=7.6.0-pre.0 <7.6.0` | GHSA-made-up |");
  expect(affectedPackages({ packages }, known)).toEqual([
    "node_modules/lerna/node_modules/tar 7.5.11 is in <7.5.21 || >=7.6.0-pre.0 <7.6.0: GHSA-made-up",
    "node_modules/archives 7.6.0-pre.1 is in <7.5.21 || >=7.6.0-pre.0 <7.6.0: GHSA-made-up",
  ]);
});

test("a range that is none is not passed over", () => {
  expect(() => readKnownWeaknesses("| tar | `before 7` | GHSA-made-up |")).toThrow("before 7");
});

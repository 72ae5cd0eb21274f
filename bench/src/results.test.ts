import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { mergeResults, readResults, writeResults } from "./results.ts";
import { madeUpResult, madeUpResults, madeUpSamples } from "./testing/made-up-results.ts";

const wholeRun = { at: "2026-01-02T03:04:05.678Z", seconds: 1_000, failed: [] };
let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-bench-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe("results", () => {
  const samples = madeUpSamples('a "case" \\ of it', "rate", { farside: [1, 2], "ssh -L": [3, 4] });

  test("are read as they were written, a line for each sample", async () => {
    const path = join(folder, "results.json");
    const results = madeUpResults({ "bulk-ssh": madeUpResult(samples) });
    await writeResults(path, results);
    expect(await readResults(path)).toEqual(results);
    const lines = (await readFile(path, "utf8")).split("\n").filter((line) => line.includes("measured"));
    expect(lines).toHaveLength(4);
  });

  test("are undefined where there is no file", async () => {
    expect(await readResults(join(folder, "none.json"))).toBeUndefined();
  });

  test("of a new run take the place of the same suites only", () => {
    const old = madeUpResults({ far: madeUpResult([]), "bulk-ssh": madeUpResult([]) });
    const merged = mergeResults(old, madeUpResults({ "bulk-ssh": madeUpResult(samples) }));
    expect(Object.keys(merged.suites)).toEqual(["far", "bulk-ssh"]);
    expect(merged.suites["bulk-ssh"]?.samples).toEqual(samples);
  });

  test("of another machine are not kept, but told of until they are measured again", () => {
    const old = madeUpResults({ far: madeUpResult([]), "bulk-ssh": madeUpResult([]) }, "Another CPU");
    const now = madeUpResults({ "bulk-ssh": madeUpResult([]) });
    const merged = mergeResults({ ...old, wholeRun }, now);
    expect(merged).toEqual({ ...now, dropped: { machine: old.machine, suites: ["far"] } });
    expect(mergeResults(merged, now)).toEqual(merged);
    expect(mergeResults(merged, madeUpResults({ far: madeUpResult([]) })).dropped).toBeUndefined();
  });

  test("keep the last whole run", () => {
    const old = { ...madeUpResults({ far: madeUpResult([]) }), wholeRun };
    const now = madeUpResults({ far: madeUpResult(samples) });
    expect(mergeResults(old, now).wholeRun).toEqual(wholeRun);
    const later = { ...wholeRun, seconds: 1 };
    expect(mergeResults(old, { ...now, wholeRun: later }).wholeRun).toEqual(later);
  });
});

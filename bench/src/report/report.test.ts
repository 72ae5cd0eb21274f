import { describe, expect, test } from "vitest";
import { madeUpResult, madeUpResults, madeUpSamples, madeUpSuite } from "../testing/made-up-results.ts";
import { formatSpread } from "./format.ts";
import { plotSuite } from "./plot.ts";
import { report } from "./report.ts";
import { suiteSection } from "./suite-section.ts";

const samples = madeUpSamples("download", "rate", {
  farside: [1500, 1600, 1400],
  "ssh -L": [1000, 1000, 1000],
});

describe("the report", () => {
  test("shows ratios before values, with their spread, and only what was measured", () => {
    const section = suiteSection(madeUpSuite, madeUpResult(samples));
    expect(section).toContain("| ÷ ssh -L | **1.50x** (1.40–1.60) |");
    expect(section).toContain("| farside | 1,500 (1,400–1,600) |");
    expect(section.indexOf("1.50x")).toBeLessThan(section.indexOf("1,500"));
    expect(section).not.toContain("unmeasured");
    expect(section).toContain("Commit abc1234, 2026-01-02 03:04 UTC, 3 rounds.");
  });

  test("says so when the machine was not quiet", () => {
    expect(suiteSection(madeUpSuite, madeUpResult(samples, 0.05))).not.toContain("not quiet");
    expect(suiteSection(madeUpSuite, madeUpResult(samples, 0.5))).toContain("not quiet** (others used 50 %");
  });

  test("names machine, date and duration, and leaves out suites without results", () => {
    const text = report([madeUpSuite, { ...madeUpSuite, id: "far", title: "Never" }], {
      ...madeUpResults({ "bulk-ssh": madeUpResult(samples) }),
    });
    expect(text).toContain("# Benchmark, 2026-01-02\n");
    expect(text).toContain("2 cores of Some CPU, 8 GB, Debian, Linux 6.1. Node 20.");
    expect(text).not.toContain("Never");
    expect(text).toMatch(/budget is 20 minutes .* no whole run .* bulk-ssh 61 s; 1\.0 minutes together/);
  });

  test("says how long a whole run took, that it was too long, and what failed in it", () => {
    const of = (seconds: number, failed: readonly string[]) =>
      report([madeUpSuite], {
        ...madeUpResults({ "bulk-ssh": madeUpResult(samples) }),
        wholeRun: { at: "2026-01-02T03:04:05.678Z", seconds, failed },
      });
    expect(of(1_140, [])).toContain("2026-01-02 03:04 UTC, took 19.0 minutes. The suites");
    expect(of(1_260, ["far"])).toContain("took 21.0 minutes: **too long**. **Failed in it: far**");
  });

  test("says which figures of another machine are no longer there", () => {
    const results = madeUpResults({ "bulk-ssh": madeUpResult(samples) });
    const machine = { ...results.machine, kernel: "5.10" };
    const text = report([madeUpSuite], { ...results, dropped: { machine, suites: ["far", "idle-ssh"] } });
    expect(text).toMatch(/\*\*Not on this page: far, idle-ssh\.\*\* .*Linux 5\.10/);
    expect(report([madeUpSuite], results)).not.toContain("Not on this page");
  });

  test("shows a dash for what was not measured and no spread for one round", () => {
    const nothing = { median: Number.NaN, least: Number.NaN, most: Number.NaN, count: 0 };
    expect(formatSpread(nothing, { digits: 1 })).toBe("–");
    expect(formatSpread({ median: 1234.56, least: 1, most: 2, count: 1 }, { digits: 1 })).toBe("1,234.6");
  });

  test("draws each plot as an SVG with every way and case in it", async () => {
    const svg = await plotSuite(madeUpSuite, samples, "rate");
    expect(svg).toMatch(/^<svg /);
    for (const text of ["farside", "ssh -L", "download", "MB/s"]) expect(svg).toContain(text);
  });
});

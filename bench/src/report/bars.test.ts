import { describe, expect, test } from "vitest";
import { metricNames } from "../sample.ts";
import { suites } from "../suites/index.ts";
import { madeUpResult, madeUpResults, madeUpSamples } from "../testing/made-up-results.ts";
import { bars, barsTable, reached } from "./bars.ts";
import { END, START, withBars } from "./performance-doc.ts";

describe("the bars", () => {
  test("name suites, metrics and ways that there are", () => {
    for (const bar of bars) {
      const suite = suites.find(({ id }) => id === bar.suite);
      expect(suite?.metrics, bar.what).toContain(bar.metric);
      const names = suite?.ways.map(({ name }) => name);
      expect(names, bar.what).toContain(bar.ours);
      if (bar.theirs !== undefined) expect(names, bar.what).toContain(bar.theirs);
      expect(metricNames).toContain(bar.metric);
    }
  });

  test("are met at the bar and missed below it", () => {
    const bar = bars.find(({ what }) => what.startsWith("SSH target, download")) as (typeof bars)[number];
    const results = madeUpResults({
      "bulk-ssh": madeUpResult([
        ...madeUpSamples("download, 1 stream", "rate", { farside: [150], "ssh -L": [100] }),
        ...madeUpSamples("download, 4 streams", "rate", { farside: [149], "ssh -L": [100] }),
      ]),
    });
    expect(reached(bar, results)).toEqual([
      { case: "download, 1 stream", value: 1.5, isMet: true },
      { case: "download, 4 streams", value: 1.49, isMet: false },
    ]);
    expect(barsTable(results)).toContain(
      "| ≥ 1.5x | download, 1 stream: 1.50x<br>download, 4 streams: **1.49x** | in part |",
    );
  });

  test("of a time that has to be shorter are turned round", () => {
    const samples = madeUpSamples("5,000, one at a time", "openSeconds", { farside: [5], "ssh -L": [50] });
    const table = barsTable(madeUpResults({ "idle-ssh": madeUpResult(samples) }));
    expect(table).toContain(
      "| opening 5,000 connections through an SSH target | ≥ 5x | 5,000, one at a time: 10.00x | yes |",
    );
  });

  test("for a number without a peer show the number", () => {
    const samples = madeUpSamples("16 uploads", "peakRss", { "farside, SSH target": [201] });
    const table = barsTable(madeUpResults({ "slow-reader": madeUpResult(samples) }));
    expect(table).toContain("| ≤ 200 MB | **201 MB** | no |");
  });

  test("are written between their marks, and nowhere else", () => {
    const text = withBars(`before\n${START}\nold\n${END}\nafter\n`, madeUpResults({}));
    expect(text).toMatch(/^before\n<!--[^\n]*-->\n\| what \|/);
    expect(text).toMatch(/not measured \|\n<!-- end of bars -->\nafter\n$/);
    expect(text).not.toContain("old");
    expect(() => withBars("nothing", madeUpResults({}))).toThrow("no place for the bars");
  });
});

import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { type MetricName, metrics, type Sample, seriesOf } from "../sample.ts";
import { spreadOf } from "../statistics.ts";
import type { Suite } from "../suites/suite.ts";
import { casesOf } from "./suite-section.ts";

/** One row of bars for each case: the median, and a line from the least to the most. SVG. */
export async function plotSuite(
  suite: Suite,
  samples: readonly Sample[],
  metric: MetricName,
): Promise<string> {
  const { name, unit } = metrics[metric];
  const cases = casesOf(samples);
  const values = suite.ways.flatMap((way) =>
    cases.flatMap((one) => {
      const { median, least, most, count } = spreadOf(seriesOf(samples, way.name, one, metric));
      return count === 0 ? [] : [{ way: way.name, case: one, median, least, most }];
    }),
  );
  const order = suite.ways.map((way) => way.name);
  const isOurs = "indexof(datum.way, 'farside') === 0";
  const spec: TopLevelSpec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    title: { text: `${suite.title}: ${name}, ${unit}`, anchor: "start" },
    background: "white",
    data: { values },
    facet: {
      row: {
        field: "case",
        type: "nominal",
        sort: cases,
        title: null,
        header: { labelOrient: "top", labelAnchor: "start", labelFontWeight: "bold" },
      },
    },
    spec: {
      width: 520,
      height: { step: 18 },
      layer: [
        {
          mark: { type: "bar", height: 12 },
          encoding: {
            x: { field: "median", type: "quantitative", title: unit },
            color: { condition: { test: isOurs, value: "#1b6ca8" }, value: "#b8bec4" },
          },
        },
        {
          mark: { type: "rule", color: "#222222" },
          encoding: {
            x: { field: "least", type: "quantitative", title: unit },
            x2: { field: "most" },
          },
        },
      ],
      encoding: { y: { field: "way", type: "nominal", sort: order, title: null } },
    },
    config: { font: "sans-serif", axis: { labelLimit: 240 } },
  };
  const view = new View(parse(compile(spec).spec), { renderer: "none" });
  try {
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}

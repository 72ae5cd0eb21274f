import * as v from "valibot";
import { expect, test } from "vitest";
import { filledWith } from "./filled-with.ts";

test("every free text is the given one, and every choice is made", () => {
  const schema = v.object({
    word: v.picklist(["a", "b", "c"]),
    at: v.pipe(v.string(), v.isoTimestamp()),
    lines: v.optional(v.array(v.object({ name: v.string(), isNew: v.boolean() }))),
  });
  const values = filledWith(schema, "\u001b!");
  expect(values.map(({ word }) => word)).toEqual(["a", "b", "c"]);
  expect(values.map(({ lines }) => lines?.[0]?.name)).toEqual(["\u001b!", "\u001b!", "\u001b!"]);
  expect(new Set(values.map(({ lines }) => lines?.[0]?.isNew)).size).toBe(2);
});

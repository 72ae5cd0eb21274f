import { expect, test } from "vitest";
import { table } from "./table.ts";

test("columns are as wide as their widest cell, and nothing hangs over at the end", () => {
  const rows = table(
    ["NAME", "HOST"],
    [
      ["calm-otter", "a"],
      ["x", "builder@host"],
    ],
  );
  expect(rows).toEqual(["NAME        HOST", "calm-otter  a", "x           builder@host"]);
});

test("what others sent is harmless", () => {
  expect(table(["TOKEN"], [["a\u001b[31m\nb"]])).toEqual(["TOKEN", "a\\x1b[31m\\nb"]);
});

import { expect, test } from "vitest";
import { splitShortOptions } from "./short-options.ts";

test("a value may follow its short option at once", () => {
  expect(splitShortOptions(["-L4444:localhost:4444", "-p2222", "jump", "-oUser=x", "-Jhop"])).toEqual([
    "-L",
    "4444:localhost:4444",
    "-p",
    "2222",
    "jump",
    "-o",
    "User=x",
    "-J",
    "hop",
  ]);
});

test("long options, separate values and what stands behind -- stay as they are", () => {
  const argv = ["--via", "a", "-L", "1:b:2", "-L=1:b:2", "-h", "--", "-Lx"];
  expect(splitShortOptions(argv)).toEqual(argv);
});

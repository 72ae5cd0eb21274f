import { expect, test } from "vitest";
import { runtimeFileOf } from "./runtime-file.ts";

test("the environment's runtime counts where none is named and one may be sent", () => {
  const env = { FARSIDE_RUNTIME_FILE: "/opt/node" };
  expect(runtimeFileOf({}, env)).toBe("/opt/node");
  expect(runtimeFileOf({ runtimeFile: "mine" }, env)).toBe("mine");
  expect(runtimeFileOf({ runtime: "never" }, env)).toBeUndefined();
  // What was asked for stays, so that the mistake is told.
  expect(runtimeFileOf({ runtimeFile: "mine", runtime: "never" }, {})).toBe("mine");
  expect(runtimeFileOf({}, { FARSIDE_RUNTIME_FILE: "" })).toBeUndefined();
});

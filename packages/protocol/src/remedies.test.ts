import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CodedError, type ErrorCode, errorTable } from "./errors.ts";
import { hintFor } from "./remedies.ts";

const DOC = readFileSync(new URL("../../../docs/errors.md", import.meta.url), "utf8");

describe("hintFor", () => {
  test("is what docs/errors.md says is to be done about the code", () => {
    const documented = [...DOC.matchAll(/^\| `([^`]+)` \|(?:[^|]*\|){3} (.*) \|$/gm)]
      .map(([, code = "", toDo = ""]) => [
        code,
        toDo.replace(/\[([^\]]+)\]\([^)]*\)/g, "$1").replaceAll("`", ""),
      ])
      .filter(([code]) => code !== "canceled");
    const codes = (Object.keys(errorTable) as ErrorCode[]).filter((code) => code !== "canceled");
    expect(codes.map((code) => [code, hintFor({ code, hint: undefined })])).toEqual(documented);
  });

  test("is the error's own hint where it has one", () => {
    expect(hintFor(new CodedError("hop.lost", "x", { hint: "Look there." }))).toBe("Look there.");
    expect(hintFor(new CodedError("canceled", "x"))).toBeUndefined();
  });
});

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  CodedError,
  type ErrorRow,
  errorTable,
  fromWire,
  isCodedError,
  toCodedError,
  toWire,
} from "./errors.ts";

const DOC = readFileSync(new URL("../../../docs/errors.md", import.meta.url), "utf8");

describe("docs/errors.md", () => {
  const rows = [...DOC.matchAll(/^\| `([^`]+)` \|(.*)\|$/gm)].map(
    ([, code = "", cells = ""]) => [code, cells.split("|").map((cell) => cell.trim())] as const,
  );

  test("has each code once, with its exit code, retry and meaning", () => {
    const documented = rows.map(([code, [exit, retry, says]]) => [
      code,
      { exit: Number(exit), retry: retry === "yes", says },
    ]);
    expect(documented).toEqual(Object.entries(errorTable).map(([code, row]) => [code, { ...row }]));
  });

  test("says for each what to do", () => {
    expect(rows.filter(([, cells]) => !/^\S.*[.)]$/.test(cells[3] ?? ""))).toEqual([]);
  });
});

describe("the table of errors", () => {
  test("has exit codes of sysexits(3), or a signal's, and meanings that are sentences", () => {
    for (const [code, row] of Object.entries<ErrorRow>(errorTable)) {
      expect([64, 69, 70, 75, 76, 77, 78, 126, 127, 130], code).toContain(row.exit);
      expect(row.says, code).toMatch(/^[A-Z].*\.$/);
    }
  });
});

describe("an error on the wire", () => {
  const error = new CodedError("hop.lost", "signer@sign:22: reset", {
    hint: "Look there.",
    leg: "hop",
    data: { port: 22 },
    cause: new Error("secret cause"),
  });

  test("has code, message, hint, leg and data, never a stack or a cause", () => {
    expect(toWire(error)).toEqual({
      code: "hop.lost",
      message: "signer@sign:22: reset",
      hint: "Look there.",
      leg: "hop",
      data: { port: 22 },
    });
    expect(Object.keys(toWire(new CodedError("timeout", "x")))).toEqual(["code", "message"]);
  });

  test("comes back the same", () => {
    const back = fromWire(toWire(error));
    expect(toWire(back)).toEqual(toWire(error));
    expect(back.cause).toBeUndefined();
  });

  test("of a code that this version does not know is internal, and names it", () => {
    const unknown = fromWire({ code: "quantum.decoherence", message: "x", data: { port: 1 } });
    expect(unknown).toMatchObject({
      code: "internal",
      data: { port: 1, originalCode: "quantum.decoherence" },
    });
    expect(fromWire({ code: "toString", message: "x" }).code).toBe("internal");
  });
});

describe("toCodedError", () => {
  test("leaves a coded error as it is, also one of another bundle's class", () => {
    const own = new CodedError("timeout", "x");
    const foreign = Object.assign(new Error("x"), { code: "timeout" });
    expect(toCodedError(own)).toBe(own);
    expect(toCodedError(foreign)).toBe(foreign);
    expect(isCodedError(Object.assign(new Error("x"), { code: "ECONNRESET" }))).toBe(false);
    expect(isCodedError({ code: "timeout" })).toBe(false);
  });

  test("makes anything else internal, with the original as its cause", () => {
    const bug = new TypeError("x is not a function");
    expect(toCodedError(bug)).toMatchObject({ code: "internal", message: bug.message, cause: bug });
    expect(toCodedError("thrown text")).toMatchObject({ code: "internal", message: "thrown text" });
  });
});

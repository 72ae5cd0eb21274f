import { afterEach, expect, test, vi } from "vitest";
import type { TestModule } from "vitest/node";
import ClosingLineReporter from "./closing-line-reporter.ts";

afterEach(() => vi.restoreAllMocks());

const moduleOf = (
  states: readonly string[],
  errors: readonly unknown[] = [],
  note?: string,
  fullName = "b",
) =>
  ({
    relativeModuleId: "a.test.ts",
    errors: () => errors,
    children: {
      allTests: () =>
        states.map((state) => ({
          fullName,
          result: () => ({ state, note }),
        })),
    },
  }) as unknown as TestModule;

/** What is written at the process's very end. */
function closingLine(modules: readonly TestModule[], unhandled: readonly unknown[] = []): string {
  let atExit: () => void = () => undefined;
  vi.spyOn(process, "on").mockImplementation((_event: unknown, listener: unknown) => {
    atExit = listener as () => void;
    return process;
  });
  new ClosingLineReporter().onTestRunEnd(modules, unhandled);
  const written = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  atExit();
  return written.mock.calls.map(([text]) => text).join("");
}

test("the last line counts every test, and those that never ended as skipped", () => {
  const modules = [moduleOf(["passed", "passed", "failed"]), moduleOf(["skipped", "pending", "passed"])];
  expect(closingLine(modules)).toBe("3 passed, 1 failed, 2 skipped\n");
});

test("a file that can't be loaded and an error outside of every test are failures", () => {
  const modules = [moduleOf([], [new Error("no such module")]), moduleOf(["passed"])];
  expect(closingLine(modules, [new Error("unhandled")])).toBe("1 passed, 2 failed, 0 skipped\n");
});

test("a test that was skipped for a reason is named with it", () => {
  expect(closingLine([moduleOf(["skipped"], [], "nobody to ask"), moduleOf(["skipped"])])).toBe(
    "skipped: a.test.ts > b: nobody to ask\n0 passed, 0 failed, 2 skipped\n",
  );
});

test("tests whose names say what they need are counted by it", () => {
  const lab = moduleOf(["skipped", "skipped"], [], undefined, "a lab [needs root] > c");
  expect(closingLine([lab, moduleOf(["passed"])])).toBe(
    "skipped: 2 that need root\n1 passed, 0 failed, 2 skipped\n",
  );
});

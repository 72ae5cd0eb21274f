import { PassThrough, Writable } from "node:stream";
import { describe, expect, test } from "vitest";
import { Log } from "./log.ts";

function logging() {
  const out = new PassThrough();
  const lines = () =>
    String(out.read() ?? "")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  return { log: new Log(out), lines };
}

describe("the agent's log", () => {
  test("is one JSON object a line, from the level on that was asked for", () => {
    const { log, lines } = logging();
    log.debug("not yet");
    log.info("started", { session: "s", leaseMs: 3, nothing: undefined });
    log.setLevel("error");
    log.warn("not any more");
    log.error("broken");
    expect(lines()).toEqual([
      { at: expect.any(String), level: "info", message: "started", session: "s", leaseMs: 3 },
      { at: expect.any(String), level: "error", message: "broken" },
    ]);
  });

  test("never holds what could break a line or a terminal", () => {
    const { log, lines } = logging();
    log.info("a\nb\u001b[31m", { title: "\u0007" });
    const [line] = lines();
    expect([line.message, line.title]).toEqual(["a\\nb\\x1b[31m", "\\x07"]);
  });

  test("drops what comes as a flood, and says how much", () => {
    const { log, lines } = logging();
    const startedAt = performance.now();
    for (let index = 0; index < 1000; index += 1) log.info(`line ${index}`);
    const seconds = (performance.now() - startedAt) / 1000;
    const written = lines().length;
    expect(written).toBeLessThan(300 + 20 * seconds);
    expect(written).toBeGreaterThan(100);
  });

  test("keeps a bounded amount for a reader that does not read, and survives its end", () => {
    const stuck = new Writable({ highWaterMark: 1, write: () => {} });
    const log = new Log(stuck);
    for (let index = 0; index < 1000; index += 1) log.error("x".repeat(2000));
    expect(stuck.writableLength).toBeLessThan(128 * 1024);
    stuck.destroy(new Error("EPIPE"));
    expect(() => log.error("nobody reads")).not.toThrow();
  });
});

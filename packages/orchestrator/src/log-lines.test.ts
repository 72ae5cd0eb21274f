import { describe, expect, it } from "vitest";
import { LogLines } from "./log-lines.ts";

describe("an agent's log", () => {
  it("is cut into whole lines, harmless and bounded, however its bytes come", () => {
    const lines: string[] = [];
    const log = new LogLines((line) => lines.push(line));
    const text = Buffer.from(`{"a":"é"}\n\u001b[2J\n\n${"x".repeat(20_000)}\nunfinished`);
    for (let at = 0; at < text.length; at += 1) log.push(text.subarray(at, at + 1));
    expect(lines.slice(0, 2)).toEqual(['{"a":"é"}', "\\x1b[2J"]);
    expect(lines.length).toBe(3);
    expect(lines[2]?.length).toBeLessThanOrEqual(8192);
  });
});

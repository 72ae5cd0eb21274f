import { type Check, checkNames } from "@farside/orchestrator";
import { harmless } from "@farside/protocol";
import picocolors from "picocolors";

const WIDTH = Math.max(...checkNames.map((name) => name.length));
const WORDS = { ok: "ok", warning: "warning", failed: "FAILED", skipped: "skipped" } as const;
const WORD_WIDTH = Math.max(...Object.values(WORDS).map((word) => word.length));
/** More than a terminal holds is more than somebody reads; hosts choose some of it. */
const MAX_TEXT = 1000;

/** A check for people: a line, and one more for what to do about it. */
export function describeCheck({ check, outcome, text, hint, code }: Check, hasColor: boolean): string[] {
  const { green, yellow, red, dim, cyan } = picocolors.createColors(hasColor);
  const color = { ok: green, warning: yellow, failed: red, skipped: dim }[outcome];
  const word = color(WORDS[outcome].padEnd(WORD_WIDTH));
  const safe = harmless(outcome === "failed" && code !== undefined ? `[${code}] ${text}` : text, MAX_TEXT);
  const line = `${word} ${check.padEnd(WIDTH)} ${outcome === "skipped" ? dim(`not looked at: ${safe}`) : safe}`;
  if (hint === undefined) return [line];
  return [line, `${" ".repeat(WORD_WIDTH + WIDTH + 2)}${cyan("hint:")} ${harmless(hint, MAX_TEXT)}`];
}

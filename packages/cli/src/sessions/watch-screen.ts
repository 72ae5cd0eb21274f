import type { Writable } from "node:stream";

/** What of a terminal a screen needs. */
export type ScreenTerminal = Writable & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
};

const HOME = "\u001b[H";
const CLEAR_TO_LINE_END = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";
const CLEAR_ALL = "\u001b[2J";
const FALLBACK = { columns: 80, rows: 24 } as const;

/** Whether `stream` is a terminal that can be drawn on again and again. */
export function isScreen(stream: ScreenTerminal, env: NodeJS.ProcessEnv): boolean {
  return stream.isTTY === true && env["TERM"] !== "dumb";
}

/**
 * Lines drawn over each other on a terminal, no wider and no longer than it is: so that nothing wraps or scrolls. It changes no mode
 * of the terminal, which therefore needs no putting right. The first drawing clears the screen.
 */
export function screenText(lines: readonly string[], terminal: ScreenTerminal, isFirst: boolean): string {
  const columns = Math.max(20, terminal.columns || FALLBACK.columns);
  const rows = Math.max(2, terminal.rows || FALLBACK.rows);
  const room = rows - 1;
  const shown =
    lines.length > room ? [...lines.slice(0, room - 1), `… ${lines.length - room + 1} more`] : lines;
  const fitting = shown.map((line) => (line.length < columns ? line : `${line.slice(0, columns - 2)}…`));
  const drawn = fitting.map((line) => `${line}${CLEAR_TO_LINE_END}\n`).join("");
  return `${isFirst ? CLEAR_ALL : ""}${HOME}${drawn}${CLEAR_BELOW}`;
}

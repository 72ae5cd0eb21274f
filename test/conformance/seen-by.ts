import type { Sight } from "./script.ts";

const KIB = 1024;

/**
 * What an end saw, as one line. Of much that came it says whether it was all that the other end sent, not how much: how much one gets
 * off before one is held back, and how much one reads before one stops, is chance. Of many connections, each different line with its count.
 */
export function seenBy(own: readonly Sight[], others: readonly Sight[]): string {
  const counts = new Map<string, number>();
  for (const sight of own) {
    const line = lineOf(sight, own.length === 1 ? others[0] : undefined);
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  if (own.length === 0) return "nothing";
  if (own.length === 1) return [...counts.keys()][0] ?? "";
  return [...counts].map(([line, count]) => `${count} × ${line}`).join("; ");
}

function lineOf({ saw, received, isIntact }: Sight, other: Sight | undefined): string {
  const share = received === other?.sent ? "all bytes" : "some bytes";
  const isMuch = saw.filter((what) => what.endsWith(" bytes")).length === 1 && received > KIB;
  const words = saw.map((what) => (isMuch && what.endsWith(" bytes") ? share : what));
  return [...words, ...(isIntact ? [] : ["bytes that were never sent there"])].join(", ");
}

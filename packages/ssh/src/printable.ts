/** Control, format (bidi, zero-width), surrogate, private-use and unassigned characters, and line separators. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]/gu;

/**
 * Text from a server, made safe for one line of a terminal or log: whatever could move the cursor, reorder the line or
 * hide in it becomes `�`, and it is cut to `maxLength` UTF-16 units.
 */
export function printable(text: string, maxLength = 200): string {
  const isLong = text.length > maxLength;
  const kept = isLong ? text.slice(0, maxLength) : text;
  return kept.replace(/\s+/gu, " ").replace(unprintable, "\ufffd").trim() + (isLong ? "…" : "");
}

/** As `printable`, for text of several lines: keeps line feeds and tabs. */
export function printableLines(text: string, maxLength = 8192): string {
  return text
    .slice(0, maxLength)
    .split(/\r\n|[\r\n]/u)
    .map((line) => line.replace(/\t/gu, "    ").replace(unprintable, "\ufffd"))
    .join("\n");
}

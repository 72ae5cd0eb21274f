/** Control, format (bidi, zero-width), surrogate, private-use and unassigned characters, and line separators. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** Text from a card or its module, made safe for one line of a terminal, at most `maxLength` UTF-16 units long. */
export function printable(text: string, maxLength = 200): string {
  return text.slice(0, maxLength).replace(/\s+/gu, " ").replace(unprintable, "�").trim();
}

/** Control, format (bidi overrides, zero-width, tags) and separator characters, and halves of surrogate pairs. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * A text from outside (agent, host, card, file) made safe for a terminal, a log line and an error message: what could
 * move the cursor, change colours, break the line or reorder the text stands escaped (`\x1b`, `\u{202e}`), and more than
 * `max` UTF-16 code units are cut to end in `…`. Applying it twice changes nothing.
 */
export function harmless(text: string, max = 1024): string {
  // The escapes only make it longer, so what lies behind the cut needs no look; one unit more tells that there is a cut.
  const escaped = text.slice(0, max + 1).replace(UNSAFE, escapeCharacter);
  if (escaped.length <= max) return escaped;
  let end = max - 1;
  // A cut in the middle of an escape or a pair would leave a torso.
  const torso = /(?:\\(?:x[0-9a-f]?|u(?:\{[0-9a-f]*)?)?|[\ud800-\udbff])$/.exec(escaped.slice(0, end));
  if (torso !== null) end = torso.index;
  return `${escaped.slice(0, end)}…`;
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return SHORT[character] ?? (code < 0x100 ? `\\x${hex(code)}` : `\\u{${hex(code)}}`);
}

function hex(code: number): string {
  return code.toString(16).padStart(2, "0");
}

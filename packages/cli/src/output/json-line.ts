/** What JSON.stringify leaves as it is, though a terminal acts on it: 8-bit controls, DEL, format characters, separators. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** `value` as JSON in one line that is safe on a terminal and in a log, and parses to the same value. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(UNSAFE, (character) =>
    // Character by character of UTF-16, as JSON has them.
    [...Array(character.length).keys()]
      .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}

import { readFile } from "node:fs/promises";
import type { Plugin } from "esbuild";

/** Lines of string-width that take 10 and 7 ms of each start, the pattern of every emoji there is and ICU's rules for graphemes, and what stands in their place. */
const LATE = [
  [
    "const rgiEmojiRegex = /^\\p{RGI_Emoji}$/v;",
    // Made when a text first holds what every emoji has: a pictograph, half a flag, or a keycap.
    `const mayBeEmoji = /[\\p{Extended_Pictographic}\\p{Regional_Indicator}\\u20E3]/u;
let emoji;
const rgiEmojiRegex = { test: (text) => mayBeEmoji.test(text) && (emoji ??= new RegExp("^\\\\p{RGI_Emoji}$", "v")).test(text) };`,
  ],
  [
    "const segmenter = new Intl.Segmenter();",
    "let rules;\nconst segmenter = { segment: (text) => (rules ??= new Intl.Segmenter()).segment(text) };",
  ],
] as const;

/** string-width without those lines. Throws where another version has them no more: then this is to go. */
export function withLatePattern(source: string): string {
  return LATE.reduce((text, [line, late]) => {
    if (text.split(line).length !== 2)
      throw new Error("string-width is not the one that late-emoji.ts knows");
    return text.replace(line, () => late);
  }, source);
}

/** Has the command line measure its live line with a pattern that is made only where it is needed. */
export const withLateEmoji: Plugin = {
  name: "with-late-emoji",
  setup(setup) {
    setup.onLoad(
      { filter: /[\\/]ora[\\/]node_modules[\\/]string-width[\\/]index\.js$/ },
      async ({ path }) => ({
        contents: withLatePattern(await readFile(path, "utf8")),
      }),
    );
  },
};

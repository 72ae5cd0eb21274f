import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { withLateEmoji, withLatePattern } from "./late-emoji.ts";

const ora = createRequire(createRequire(import.meta.url).resolve("ora"));
const file = ora.resolve("string-width");

type Width = (text: string) => number;

test("measures every text as string-width itself does", async () => {
  const theirs = ((await import(pathToFileURL(file).href)) as { default: Width }).default;
  const { outputFiles } = await build({
    stdin: { contents: `export { default } from ${JSON.stringify(file)}`, resolveDir: path.dirname(file) },
    ...{ bundle: true, write: false, format: "esm", plugins: [withLateEmoji] },
  });
  const code = Buffer.from(outputFiles[0]?.contents ?? []).toString("base64");
  const ours = ((await import(`data:text/javascript;base64,${code}`)) as { default: Width }).default;
  const texts = [
    "connecting to a@b",
    "⠋ …",
    "日本語",
    "👍",
    "👍🏽",
    "👨‍👩‍👧",
    "🇩🇪",
    "1️⃣",
    "☎",
    "☎️",
    "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "é",
    "\u001b[1mbold\u001b[22m",
  ];
  expect(texts.map(ours)).toEqual(texts.map(theirs));
  expect(new Set(texts.map(theirs)).size).toBeGreaterThan(3);
});

test("knows the string-width that is installed, and no other", async () => {
  expect(withLatePattern(await readFile(file, "utf8"))).not.toMatch(
    /^const \w+ = (?:\/\^\\p\{RGI|new Intl)/m,
  );
  expect(() => withLatePattern("export default (text) => text.length;")).toThrow("late-emoji.ts");
});

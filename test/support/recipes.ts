import { readFileSync } from "node:fs";

const PAGE = readFileSync(new URL("../../docs/recipes.md", import.meta.url), "utf8");

/** The code block under a heading of docs/recipes.md. */
export function recipe(heading: string): string {
  const section = PAGE.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const [, block] = /\n```\w+\n(.*?)\n```/s.exec(section) ?? [];
  if (block === undefined) throw new Error(`no code under ${heading} in docs/recipes.md`);
  return `${block}\n`;
}

/** The headings of all recipes. */
export const headings = [...PAGE.matchAll(/^## (.*)$/gm)].map(([, heading = ""]) => heading);

/** The shell scripts in a pipeline: YAML's `|` blocks, or Groovy's `sh '''…'''`. */
export function scriptsIn(pipeline: string): string[] {
  const groovy = [...pipeline.matchAll(/sh '''\n(.*?)'''/gs)].map(([, script = ""]) => script);
  const yaml = [...pipeline.matchAll(/^( *)(?:- |run: )\|\n((?:\1 +.*\n)+)/gm)].map(
    ([, , script = ""]) => script,
  );
  return [...groovy, ...yaml].map(outdented);
}

function outdented(text: string): string {
  const lines = text.split("\n");
  const indents = lines.filter((line) => line.trim() !== "").map((line) => line.search(/\S/));
  return lines.map((line) => line.slice(Math.min(...indents))).join("\n");
}

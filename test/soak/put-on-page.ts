import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { checkout } from "../lab/lab.ts";
import type { SoakPage } from "./part.ts";

/** Writes what a part saw to its page. */
export async function putOnPage(part: string, page: SoakPage, text: string): Promise<void> {
  const path = join(checkout, page.path);
  if (page.kind === "whole") {
    await writeFile(path, page.text);
    return;
  }
  const old = await readFile(path, "utf8");
  const [begin, end] = [`<!-- soak ${part} -->`, `<!-- end of soak ${part} -->`];
  const [before, after] = [old.indexOf(begin), old.indexOf(end)];
  if (before < 0 || after < before) throw new Error(`${page.path} has no place for ${part}`);
  await writeFile(path, `${old.slice(0, before + begin.length)}\n\n${text}\n\n${old.slice(after)}`);
}

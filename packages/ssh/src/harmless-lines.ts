import { harmless } from "@farside/protocol";

/** `harmless` for text that has several lines (a banner, a prompt): line breaks and tabs stay what they are for. */
export function harmlessLines(text: string, max = 8192): string {
  return text
    .slice(0, max)
    .split(/\r\n|[\r\n]/u)
    .map((line) => harmless(line.replace(/\t/gu, "    "), max))
    .join("\n");
}

import { type CST, Parser } from "yaml";

/**
 * How deep the values of a YAML text are nested, counted without recursion: a document that is composed from too deep a text exhausts
 * the stack, or has V8 end the process.
 */
export function yamlDepth(text: string): number {
  let deepest = 0;
  const waiting: [token: CST.Token, depth: number][] = [];
  const add = (token: CST.Token | null | undefined, depth: number) => {
    if (token !== null && token !== undefined) waiting.push([token, depth]);
  };
  for (const token of new Parser().parse(text)) add(token, 0);
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [token, depth] = next;
    deepest = Math.max(deepest, depth);
    if (token.type === "document") add(token.value, depth + 1);
    if (!("items" in token)) continue;
    for (const { key, value } of token.items) {
      add(key, depth + 1);
      add(value, depth + 1);
    }
  }
  return deepest;
}

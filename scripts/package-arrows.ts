import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** Which of our packages each package may import, lowest first: arrows only point down. */
export const allowedArrows: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  ssh: ["protocol"],
  smartcard: ["protocol", "ssh"],
  agent: ["protocol", "ssh"],
  orchestrator: ["protocol", "ssh", "agent"],
  cli: ["protocol", "ssh", "smartcard", "orchestrator"],
};

/** Foreign packages that exactly one package of ours (or the named ones) may import. */
export const soleImporters: Readonly<Record<string, readonly string[]>> = {
  ssh2: ["ssh"],
  "ssh-config": ["ssh"],
  pkcs11js: ["smartcard"],
  msgpackr: ["protocol"],
  ws: ["agent", "orchestrator"],
  "prom-client": ["agent"],
  yargs: ["cli"],
  ora: ["cli"],
};

/** The only module of the agent's package that a package of the workstation may import: it hands over the built file. */
const AGENT_BUNDLE = "@farside/agent/bundle";

export interface ImportFound {
  /** Path of the importing file, from the root of the checkout. */
  readonly file: string;
  readonly from: string;
  readonly specifier: string;
}

/** Every static and dynamic import in the TypeScript sources of `packages/`, test support included, tests left out. */
export function findImports(root: string): ImportFound[] {
  const found: ImportFound[] = [];
  for (const name of Object.keys(allowedArrows)) {
    const sources = join(root, "packages", name, "src");
    for (const entry of readdirSync(sources, { recursive: true, encoding: "utf8" })) {
      if (!entry.endsWith(".ts") || entry.endsWith(".test.ts")) continue;
      const path = join(sources, entry);
      for (const match of readFileSync(path, "utf8").matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"([^"]+)"/g)) {
        found.push({ file: relative(root, path), from: name, specifier: match[1] ?? "" });
      }
    }
  }
  return found;
}

/** One line for each import that points the wrong way; empty when all is well. */
export function wrongArrows(imports: readonly ImportFound[]): string[] {
  return imports.flatMap(({ file, from, specifier }) => {
    const ours = /^@farside\/([^/]+)/.exec(specifier)?.[1];
    if (ours !== undefined && ours !== from) {
      if (!allowedArrows[from]?.includes(ours)) return [`${file}: ${from} must not import ${specifier}`];
      if (ours === "agent" && specifier !== AGENT_BUNDLE)
        return [`${file}: only ${AGENT_BUNDLE} may be imported`];
    }
    if (specifier.startsWith(".") && join(file, "..", specifier).split("/")[1] !== from) {
      return [`${file}: leaves its package by a relative path, ${specifier}`];
    }
    const foreign = /^(@[^/]+\/[^/]+|[^@./][^/]*)/.exec(specifier)?.[1];
    const importers = foreign === undefined ? undefined : soleImporters[foreign];
    if (importers && !importers.includes(from))
      return [`${file}: ${foreign} belongs to ${importers.join(", ")}`];
    return [];
  });
}

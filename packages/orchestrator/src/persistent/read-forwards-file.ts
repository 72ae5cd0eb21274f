import { CodedError, harmless } from "@farside/protocol";
import { isFingerprint, parsePublicKeyLine } from "@farside/ssh";
import * as v from "valibot";
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, parseDocument } from "yaml";
import { parseTarget } from "../forward-spec.ts";
import { parseHopList } from "../hop-spec.ts";
import { bindOf } from "./bind-of.ts";
import { type ForwardsFileContent, forwardsFile } from "./forwards-file.ts";
import { yamlDepth } from "./yaml-depth.ts";

const MAX_BYTES = 256 * 1024;
/** Ours has 6. */
const MAX_DEPTH = 32;
/** Problems that one error tells. */
const MAX_PROBLEMS = 5;

type Path = readonly (string | number)[];

interface Problem {
  readonly path: Path;
  readonly text: string;
  /** The key itself is wrong, not its value. */
  readonly isKey?: boolean;
}

interface Place {
  readonly line: number;
  readonly column: number;
}

/**
 * Reads the text of a forwards.yaml; `file` is its name in errors. Throws `config.invalid` with the line and column of the
 * first thing that is wrong, and where the others are.
 */
export function readForwardsFile(text: string, file: string): ForwardsFileContent {
  if (Buffer.byteLength(text) > MAX_BYTES) throw invalid(file, [{ text: "it is larger than 256 KiB" }]);
  if (yamlDepth(text) > MAX_DEPTH)
    throw invalid(file, [{ text: `its values are nested more than ${MAX_DEPTH} deep` }]);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: "1.2" });
  const syntax = [...document.errors, ...document.warnings].map(({ message, pos }) => ({
    text: message,
    place: placeAt(lines, pos[0]),
  }));
  if (syntax.length > 0) throw invalid(file, syntax);
  const content = v.safeParse(forwardsFile, plainOf(document, file));
  // A key that there isn't comes first: what is missing is mostly what it was meant to be.
  const problems = content.success
    ? contradictions(content.output)
    : content.issues
        .map(problemOf)
        .sort((one, other) => Number(other.isKey ?? false) - Number(one.isKey ?? false));
  if (content.success && problems.length === 0) return content.output;
  throw invalid(
    file,
    problems.map(({ path, text: what, isKey }) => ({
      text: path.length === 0 ? what : `${nameOf(path)}: ${what}`,
      place: placeOf(document, lines, path, isKey),
    })),
  );
}

function plainOf(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw invalid(file, [{ text: (error as Error).message }]);
  }
}

/** The innermost reason: of the ways in which a value can be written, the one that it was meant to be. */
function problemOf(issue: v.BaseIssue<unknown>): Problem {
  const path = (issue.path ?? []).map(({ key }) => key as string | number);
  const inner = issue.type === "union" ? meantBy(issue) : undefined;
  if (inner !== undefined) {
    const deeper = problemOf(inner);
    return { ...deeper, path: [...path, ...deeper.path] };
  }
  if (issue.type === "strict_object" && issue.expected === "never")
    return { path, text: "there is no such key", isKey: true };
  if (issue.type === "strict_object" && issue.received === "undefined")
    return path.length <= 1 && issue.path === undefined
      ? { path, text: "the file is empty" }
      : { path, text: "it is missing" };
  return { path, text: wordsOf(issue) };
}

/** Of a union's issues, that of a mapping where a mapping was written; a mapping of another kind has a key too many. */
function meantBy({ input, issues }: v.BaseIssue<unknown>): v.BaseIssue<unknown> | undefined {
  const isComposite = typeof input === "object" && input !== null;
  const candidates = (issues ?? []).filter((issue) => isComposite && issue.path !== undefined);
  const [only, ...others] = candidates;
  const places = new Set(others.map(({ path = [] }) => path.length));
  return others.length === 0 || places.size === 0
    ? only
    : candidates.find(({ type }) => type !== "strict_object");
}

/** valibot's own sentences speak of types; ours, given in the schema, stay. */
function wordsOf({ message, expected, received }: v.BaseIssue<unknown>): string {
  return message.startsWith("Invalid ") && expected !== null ? `it is ${received}, not ${expected}` : message;
}

/** What the schema can't say: the syntax within strings, and what must not stand together. */
function contradictions({
  forwards,
  defaults = {},
  "metrics-port": metricsPort,
}: ForwardsFileContent): Problem[] {
  const problems: Problem[] = [];
  const check = (path: Path, read: () => unknown) => {
    try {
      read();
    } catch (error) {
      problems.push({ path, text: (error as Error).message });
    }
  };
  const checkVia = (path: Path, via: (typeof defaults)["via"]) => {
    if (typeof via === "string") check(path, () => parseHopList(via, "it"));
    for (const [index, hop] of (typeof via === "object" ? via : []).entries()) {
      check([...path, index], () => parseHopList(typeof hop === "string" ? hop : hop.host, "it"));
      for (const [at, key] of (typeof hop === "object" ? (hop["host-keys"] ?? []) : []).entries())
        if (!isFingerprint(key)) check([...path, index, "host-keys", at], () => parsePublicKeyLine(key));
    }
  };
  checkVia(["defaults", "via"], defaults.via);
  const ids = new Set<string>();
  for (const [index, { id, listen, target, via }] of forwards.entries()) {
    const path = ["forwards", index] as const;
    if (ids.has(id)) problems.push({ path: [...path, "id"], text: `there is another ${id}` });
    ids.add(id);
    check([...path, "listen"], () => {
      const bind = bindOf(listen);
      const isMetrics = bind.kind === "loopback" && bind.port !== 0 && bind.port === metricsPort;
      if (isMetrics) throw new Error("that port is metrics-port");
    });
    if (typeof target === "string") check([...path, "target"], () => parseTarget(target));
    checkVia([...path, "via"], via);
  }
  return problems;
}

/** `forwards[1].listen`. */
function nameOf(path: Path): string {
  return path.reduce<string>(
    (name, key) => (typeof key === "number" ? `${name}[${key + 1}]` : name === "" ? key : `${name}.${key}`),
    "",
  );
}

function placeAt(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { line, column: col };
}

/** Where `path` stands in the text; of something that is missing, what it is missing from. */
function placeOf(document: Document, lines: LineCounter, path: Path, isKey = false): Place {
  for (let length = path.length; length > 0; length -= 1) {
    const wanted = path.slice(0, length);
    const parent = length === 1 ? document.contents : document.getIn(wanted.slice(0, -1), true);
    const key = wanted.at(-1);
    const pair = isMap(parent)
      ? parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === key)
      : undefined;
    const value = document.getIn(wanted, true);
    const node = isKey && length === path.length ? pair?.key : (value ?? pair?.key);
    if (isNode(node) && node.range) return placeAt(lines, node.range[0]);
  }
  const { contents } = document;
  return placeAt(lines, contents?.range?.[0] ?? 0);
}

function invalid(file: string, problems: readonly { text: string; place?: Place }[]): CodedError {
  const lines = problems.map(({ text, place }) => {
    const where = place === undefined ? file : `${file}:${place.line}:${place.column}`;
    return `${where}: ${harmless(text.split("\n")[0] ?? "", 300)}`;
  });
  const [first = file, ...others] = lines;
  const shown = others.slice(0, MAX_PROBLEMS - 1);
  const more = others.length > shown.length ? ` … and ${others.length - shown.length} more` : "";
  const place = problems[0]?.place;
  return new CodedError("config.invalid", `reading ${first}`, {
    hint:
      others.length === 0
        ? "docs/installed-agents.md has every key; editors check the file with docs/forwards.schema.json."
        : `Also: ${shown.join("; ")}${more}`,
    data: { file, ...place },
  });
}

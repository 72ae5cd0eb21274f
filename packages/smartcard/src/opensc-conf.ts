import { readFile } from "node:fs/promises";

/** Where OpenSC looks when OPENSC_CONF is not set. */
const usualPaths = [
  "/etc/opensc/opensc.conf",
  "/etc/opensc.conf",
  "/Library/OpenSC/etc/opensc.conf",
  "/opt/homebrew/etc/opensc/opensc.conf",
  "/usr/local/etc/opensc.conf",
];

/** The configuration that OpenSC would read; empty where there is none. */
export async function readOpenscConf(env: Readonly<NodeJS.ProcessEnv>): Promise<string> {
  const candidates = env["OPENSC_CONF"] === undefined ? usualPaths : [env["OPENSC_CONF"]];
  for (const path of candidates) {
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text !== undefined) return text;
  }
  return "";
}

interface Token {
  readonly kind: "comment" | "space" | "string" | "word" | "mark";
  readonly text: string;
}

function tokenize(text: string): Token[] {
  const pattern =
    /(?<comment>#[^\n]*)|(?<space>\s+)|(?<string>"(?:[^"\\]|\\.)*"?)|(?<mark>[{}=;,])|(?<word>[^\s{}=;,"#]+)/gs;
  return Array.from(text.matchAll(pattern), ({ groups = {} }) => {
    const [kind, matched] = Object.entries(groups).find(([, value]) => value !== undefined) ?? ["space", " "];
    return { kind: kind as Token["kind"], text: matched ?? "" };
  });
}

const resetOnDisconnect = "disconnect_action = reset;";
const readerBlock = `reader_driver pcsc { ${resetOnDisconnect} }`;
/** `debug` would write the PIN's APDU to a log. */
const dropped = new Set(["disconnect_action", "debug", "debug_file"]);

/**
 * The user's OpenSC configuration, changed in one way: the card is reset when the signer lets go of it, so that no other
 * program finds it with the PIN verified. OpenSC takes the first block of a name in `app opensc-pkcs11`, then in `app
 * default`: every existing `reader_driver pcsc` gets the setting, and `app default` gets such a block if it has none.
 */
export function deriveOpenscConf(original: string): string {
  const output: string[] = [];
  const stack: string[] = [];
  let statement: Token[] = [];
  let defaultStart: number | undefined;
  let isInFirstDefault = false;
  let defaultHasReader = false;
  const flush = (): void => {
    const name = statement.find(({ kind }) => kind === "word")?.text ?? "";
    const isAssignment = statement.some(({ text }) => text === "=");
    if (!(isAssignment && dropped.has(name))) output.push(...statement.map(({ text }) => text));
    statement = [];
  };
  for (const token of tokenize(original)) {
    if (token.kind === "comment") continue;
    const isEndOfBlock = token.kind === "mark" && token.text === "}";
    if (isEndOfBlock) flush();
    statement.push(token);
    if (token.text === ";" && token.kind === "mark") flush();
    else if (token.text === "{" && token.kind === "mark") {
      const words = statement.filter(({ kind }) => kind === "word" || kind === "string");
      const block = words.map(({ text }) => text.replaceAll('"', "")).join(" ");
      flush();
      stack.push(block);
      if (block === "app default" && stack.length === 1 && defaultStart === undefined) {
        defaultStart = output.length;
        isInFirstDefault = true;
      }
      if (block === "reader_driver pcsc") {
        output.push(` ${resetOnDisconnect}`);
        defaultHasReader ||= isInFirstDefault;
      }
    } else if (isEndOfBlock) {
      flush();
      stack.pop();
      if (stack.length === 0) isInFirstDefault = false;
    }
  }
  flush();
  if (defaultStart === undefined) output.push(`\napp default { ${readerBlock} }\n`);
  else if (!defaultHasReader) output.splice(defaultStart, 0, ` ${readerBlock}`);
  return output.join("");
}

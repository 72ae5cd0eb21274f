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

/** What is set in the blocks of these names. */
const settings: ReadonlyMap<string, string> = new Map([
  // No other program is to find the card with its PIN verified.
  ["reader_driver pcsc", "disconnect_action = reset;"],
  // OpenSC would keep the PIN, and send it again by itself to a card that was reset, or out: a try that nobody made.
  ["framework pkcs15", "use_pin_caching = false;"],
]);
const names = [...settings.values()].map((setting) => setting.split(" ")[0] ?? "");
/** `debug` would write the PIN's APDU to a log. */
const dropped = new Set([...names, "debug", "debug_file"]);

/**
 * The user's OpenSC configuration with two changes: the card is reset when the signer lets go of it, and its PIN is not kept.
 * OpenSC takes the first block of a name in `app opensc-pkcs11`, then in `app default`: every existing block of such a name
 * gets its setting, and `app default` gets the blocks that it lacks.
 */
export function deriveOpenscConf(original: string): string {
  const output: string[] = [];
  const stack: string[] = [];
  let statement: Token[] = [];
  let defaultStart: number | undefined;
  let isInFirstDefault = false;
  const missing = new Map(settings);
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
      const setting = settings.get(block);
      if (setting !== undefined) output.push(` ${setting}`);
      if (isInFirstDefault) missing.delete(block);
    } else if (isEndOfBlock) {
      flush();
      stack.pop();
      if (stack.length === 0) isInFirstDefault = false;
    }
  }
  flush();
  const blocks = [...missing].map(([block, setting]) => `${block} { ${setting} }`).join(" ");
  if (defaultStart === undefined) output.push(`\napp default { ${blocks} }\n`);
  else if (blocks !== "") output.splice(defaultStart, 0, ` ${blocks}`);
  return output.join("");
}

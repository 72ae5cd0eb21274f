import { CodedError } from "@farside/protocol";
import { markedCommand, NEWLINES_FOR_RC_FILES } from "../../bootstrap.ts";
import { onOneLine } from "../../loader.ts";
import { quoted } from "./supervisor-script.ts";

const COMMAND_MARK = "farside-command:";
/** Half of a frame, as with the agent: what a command line and its variables may take. */
const MAX_COMMAND_BYTES = 512 * 1024;
const MAX_NOISE_BYTES = 64 * 1024;

/** Gets one line, which sets the command and its variables, and becomes the command. `$1$2` is the nonce. */
const RUNNER = onOneLine(`
unset BASH_ENV ENV;
while IFS= read -r line; do if [ "$line" = "farside-command $1$2" ]; then break; fi; done;
IFS= read -r line || exit 70;
mark=${COMMAND_MARK}$1$2; eval "$line";
case $1 in
  */*) if [ -d "$1" ]; then ok=; elif [ -e "$1" ]; then ok=; if [ -x "$1" ]; then ok=1; fi; else ok=1; fi;
    if [ -z "$ok" ]; then echo "$mark:not-runnable"; exit 126; fi ;;
esac;
command -v "$1" >/dev/null 2>&1 || { echo "$mark:not-found"; exit 127; };
echo "$mark:started $$" >&2; echo "$mark:started $$";
exec "$@"
`);

export function commandStart(
  nonce: string,
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
): { readonly command: string; readonly input: string } {
  const names = Object.keys(environment);
  const texts = [...argv, ...Object.entries(environment).flat()];
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const isGood =
    argv.length > 0 &&
    argv[0] !== "" &&
    bytes <= MAX_COMMAND_BYTES &&
    names.every((name) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) &&
    !texts.some((text) => text.includes("\0"));
  if (!isGood) {
    throw new CodedError(
      "usage.invalid",
      "a command that can't be run: it is empty, too long, holds a NUL, or one of its variables has no name of a variable",
    );
  }
  const statements = [
    `nl=$(printf '\\n.'); nl=\${nl%.}`,
    ...Object.entries(environment).map(([name, value]) => `${name}=${text(value)}; export ${name}`),
    `set -- ${argv.map(text).join(" ")}`,
  ];
  return {
    command: markedCommand(nonce, RUNNER),
    input: `${NEWLINES_FOR_RC_FILES}farside-command ${nonce}\n${statements.join("; ")}\n`,
  };
}

/** One word of sh that may hold line ends; `$nl` is one. */
function text(word: string): string {
  return word.split("\n").map(quoted).join('"$nl"');
}

/** How a command started: with its process group, or not at all. */
export type StartedCommand = { readonly group: number } | { readonly problem: "not-found" | "not-runnable" };

/** Tells what the login prints before the command from what the command prints, on one of its streams. */
export class CommandOutput {
  /** Resolves when the command says that it starts. */
  readonly started: Promise<StartedCommand>;
  readonly #mark: string;
  #before: Buffer = Buffer.alloc(0);
  #hasStarted = false;
  #start: (started: StartedCommand) => void = () => {};

  constructor(nonce: string) {
    this.#mark = `${COMMAND_MARK}${nonce}:`;
    this.started = new Promise((resolve) => {
      this.#start = resolve;
    });
  }

  /** What the login printed, as far as it is kept; hostile. */
  get noise(): string {
    return this.#before.toString();
  }

  /** What of `chunk` is the command's own. */
  push(chunk: Buffer): { readonly behind: Buffer } {
    if (this.#hasStarted) return { behind: chunk };
    const all = Buffer.concat([this.#before, chunk]);
    const at = all.indexOf(this.#mark);
    const end = at < 0 ? -1 : all.indexOf(0x0a, at);
    if (end < 0) {
      this.#before = all.subarray(-MAX_NOISE_BYTES);
      return { behind: Buffer.alloc(0) };
    }
    this.#hasStarted = true;
    this.#before = all.subarray(0, at);
    this.#start(readStart(all.toString("latin1", at + this.#mark.length, end)));
    return { behind: all.subarray(end + 1) };
  }
}

function readStart(line: string): StartedCommand {
  const group = /^started ([1-9]\d{0,9})\s*$/.exec(line)?.[1];
  if (group !== undefined) return { group: Number(group) };
  return { problem: line.trim() === "not-runnable" ? "not-runnable" : "not-found" };
}

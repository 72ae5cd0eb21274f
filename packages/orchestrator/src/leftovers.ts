import { abortable, CodedError, harmless } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { halves, newNonce, RUN_VARIABLE, shellCommand } from "./bootstrap.ts";
import { onOneLine } from "./loader.ts";
import { markedLines, readMarked } from "./marked-output.ts";
import {
  KEEP_FOLDERS,
  KEEP_PREFIX,
  SESSION_FOLDERS,
  SESSION_PREFIX,
  UNFINISHED_PREFIX,
} from "./runtime/runtime-ladder.ts";

/** Instead of a session's mark and name: those of all. */
export const EVERY_RUN = `${RUN_VARIABLE}=`;
export const EVERY_SESSION = "%all";

/** What a session made on a host, as far as it is known: what is looked for after its end. */
export interface Traces {
  /** Marks the processes; see `RUN_VARIABLE`. Or EVERY_RUN, with EVERY_SESSION as the control sockets'. */
  readonly nonce: string;
  /** TCP ports that were listened on. */
  readonly ports: readonly number[];
  /** Paths of unix sockets, as they were asked for: relative ones are the login's. */
  readonly sockets: readonly string[];
  /** Sessions whose resident agents had control sockets, and logs beside them. */
  readonly controls?: readonly string[] | undefined;
  /** Whether a Node.js may have been sent; see runtime-ladder.ts. */
  readonly mayHaveRuntime?: boolean | undefined;
}

/** What is still there, one line an item. */
export interface Leftovers {
  readonly processes: readonly string[];
  readonly listeners: readonly string[];
  readonly files: readonly string[];
}

/**
 * `look` changes nothing. `end` sends SIGTERM to the session's processes, `kill` SIGKILL, and removes sockets that nobody
 * listens on any more.
 */
export type LookMode = "look" | "end" | "kill";

/**
 * `$1$2` marks the processes, `$3$4` this script's output, `$5` has the ports in hex, as alternatives, `$6` the mode, `$7` how many
 * paths there are (those come on stdin, where any character may stand), `$8` whether a runtime is looked for, `$9` the sessions whose control
 * sockets are, or all. Then agents that are installed are let be: their marks stand in their records. Processes are recognised by command line or environment, and only the login's own count:
 * a command line can be read and imitated by everybody. No mark stands in this script as it is looked for, and grep gets it on stdin, else it would find itself. It also
 * reads the tables of connections: a shell that does (bash) goes back for each line of thousands, which takes it minutes.
 * A port or socket that another agent holds (`others`) is that one's: it may have taken it over.
 */
const SCRIPT = onOneLine(`
PATH=\${PATH:+$PATH:}/usr/bin:/bin; run=$1$2; mark=$3$4; ports=$5; mode=$6; me=$(id -u); seen=" ";
others() {
  for e in $(grep -ls "${RUN_VARIABLE}[=]" /proc/[0-9]*/environ); do
    d=\${e%/environ};
    case $seen in *" \${d#/proc/} "*) continue ;; esac;
    if [ -O "$d" ] && ls -l "$d/fd" 2>/dev/null | grep -qF "socket:[$1]"; then return 0; fi;
  done;
  return 1;
};
echo "farside-look:$mark:begin";
if [ -r /proc/self/environ ] && command -v grep >/dev/null; then
  for f in $(echo "$run" | grep -lsF -f - /proc/[0-9]*/cmdline /proc/[0-9]*/environ); do
    p=\${f#/proc/}; p=\${p%%/*};
    case $seen in *" $p "*) continue ;; esac;
    seen="$seen$p ";
    [ -O "/proc/$p" ] || continue;
    if [ "$9" = "${EVERY_SESSION}" ]; then
      own=$(grep -oaE "$run[0-9a-f]{32}" "/proc/$p/environ"); own=\${own#"$run"};
      if [ -n "$own" ] && grep -qsF "$own" "\${XDG_DATA_HOME:-$HOME/.local/share}"/farside/*/install.json; then continue; fi;
    fi;
    name=; read -r name < "/proc/$p/comm";
    echo "$mark process $p $name";
    case $mode in end) kill -TERM "$p" ;; kill) kill -KILL "$p" ;; esac;
  done 2>/dev/null;
else
  echo "$mark unknown processes";
fi;
for t in /proc/net/tcp /proc/net/tcp6; do
  if [ -r "$t" ]; then
    if [ -n "$ports" ]; then grep -E "^ *[0-9]+: [0-9A-F]+:($ports) [0-9A-F]+:[0-9A-F]+ 0A " "$t"; fi |
    while read -r n local remote state queue timer retries uid timeout inode rest; do
      if [ "$uid" = "$me" ]; then others "$inode" || echo "$mark listener $local"; fi;
    done;
  elif [ "$t" = /proc/net/tcp ]; then
    echo "$mark unknown listeners";
  fi;
done;
if [ -n "$8" ]; then
  for d in ${SESSION_FOLDERS} ${KEEP_FOLDERS}; do
    for f in "$d/${SESSION_PREFIX}$run" "$d/${KEEP_PREFIX}$(id -u)/${UNFINISHED_PREFIX}$run"; do
      case $seen in *" $f "*) continue ;; esac;
      if [ "$mode" = kill ] && [ -O "$f" ]; then rm -rf -- "$f"; fi;
      if [ -e "$f" ]; then seen="$seen$f "; echo "$mark runtime $f"; fi;
    done;
  done;
fi;
for n in $9; do
  for d in "\${XDG_RUNTIME_DIR:-/run/user/$me}/farside" "/tmp/farside-$me" "$HOME/.local/state/farside/run"; do
    k=$(cd -P "$d" 2>/dev/null && [ -O . ] && pwd -P) || continue;
    case $k in */"\${d##*/}") d=$k ;; *) continue ;; esac;
    for f in "$d"/*.sock "$d"/*.log "$d"/*.log.1; do
      s=\${f%.sock}; s=\${s%.1}; s=\${s%.log};
      if [ "$n" = "${EVERY_SESSION}" ] || [ "$s" = "$d/$n" ]; then :; else continue; fi;
      if [ "$mode" = kill ] && [ -f "$f" ] && [ -O "$f" ]; then [ -e "$s.sock" ] || rm -f -- "$f"; fi;
      if [ "$mode" = kill ] && [ -S "$f" ] && [ -O "$f" ]; then
        printf "%s" " $f" | grep -qsF -f - /proc/net/unix || rm -f -- "$f";
      fi;
      if [ -e "$f" ] || [ -L "$f" ]; then echo "$mark control $f"; fi;
    done;
    if [ "$mode" = kill ]; then rmdir "$d" 2>/dev/null; fi;
    if [ -d "$d" ] && [ -z "$(ls -A "$d")" ]; then echo "$mark control $d"; fi;
  done;
done;
if [ "$7" = 0 ]; then echo "farside-look:$mark:end"; exit; fi;
while IFS= read -r line; do if [ "$line" = "farside-sockets $mark" ]; then break; fi; done;
i=0;
while IFS= read -r path; do
  if [ "$path" = "farside-end $mark" ]; then echo "farside-look:$mark:end"; exit; fi;
  if [ "$mode" = kill ] && [ -S "$path" ] && [ -O "$path" ]; then
    { printf "%s" " $path"; echo; printf "%s" " \${path%/*}/.farside/../\${path##*/}"; } | grep -qsF -f - /proc/net/unix || rm -f -- "$path";
  fi;
  again=\${path%/*}/.farside/../\${path##*/};
  inode=$({ printf "%s" " $path"; echo; printf "%s" " $again"; } | grep -sF -f - /proc/net/unix |
    while read -r a b c d e f inode name; do
      if [ "$name" = "$path" ] || [ "$name" = "$again" ]; then echo "$inode"; break; fi;
    done);
  if [ -n "$inode" ] && others "$inode"; then :;
  elif [ -e "$path" ] || [ -L "$path" ]; then echo "$mark file $i"; fi;
  i=$((i + 1));
done;
exit 1
`);

const NEWLINES_FOR_RC_FILES = "\n".repeat(64);
const MAX_ITEMS = 100;

/**
 * Looks on the host, by a command of its own, for what is left of a session. Rejects with `teardown.leftovers` where the
 * look is not complete, with what `hop.exec` rejects with, or the signal's reason.
 */
export async function lookForLeftovers(
  hop: Pick<Hop, "exec">,
  traces: Traces,
  mode: LookMode,
  signal: AbortSignal,
): Promise<Leftovers> {
  const mark = newNonce();
  const ports = traces.ports.map((port) => port.toString(16).toUpperCase().padStart(4, "0"));
  const args = [
    ...halves(traces.nonce),
    ...halves(mark),
    ports.join("|"),
    mode,
    String(traces.sockets.length),
    traces.mayHaveRuntime === true ? "runtime" : "",
    (traces.controls ?? []).join(" "),
  ];
  const channel = await hop.exec(shellCommand(SCRIPT, args), { signal });
  channel.on("error", () => {});
  const sockets = traces.sockets.map((path) => `${path}\n`).join("");
  channel.end(`${NEWLINES_FOR_RC_FILES}farside-sockets ${mark}\n${sockets}farside-end ${mark}\n`);
  const stop = () => channel.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    return parseLook(await abortable(readMarked(channel, mark), signal), mark, traces.sockets);
  } finally {
    signal.removeEventListener("abort", stop);
    channel.destroy();
  }
}

/** Reads the script's output, which stands somewhere in what the login shell prints; hostile. */
export function parseLook(output: string, mark: string, sockets: readonly string[]): Leftovers {
  const lines = markedLines(output, mark);
  if (lines === undefined) throw incomplete("its look at itself broke off");
  const found = { processes: [] as string[], listeners: [] as string[], files: [] as string[] };
  for (const line of lines) {
    const at = line.indexOf(" ");
    const [kind, what] = [line.slice(0, at), harmless(line.slice(at + 1), 300)];
    if (kind === "unknown") throw incomplete(`it can't be asked for its ${what}`);
    if (kind === "process") push(found.processes, `process ${what}`);
    else if (kind === "listener") push(found.listeners, readAddress(what));
    else if (kind === "runtime" || kind === "control") push(found.files, what);
    else if (kind === "file") push(found.files, harmless(sockets[Number(what)] ?? what, 300));
    else throw incomplete("its look at itself printed something else");
  }
  return found;
}

function incomplete(why: string): CodedError {
  return new CodedError("teardown.leftovers", `looking for what is left on the jump host: ${why}`, {
    leg: "jump",
  });
}

function push(list: string[], item: string): void {
  if (list.length < MAX_ITEMS) list.push(item);
}

/** `0100007F:115C`, as /proc/net/tcp has it on little-endian hosts, as `127.0.0.1:4444`. */
function readAddress(text: string): string {
  const [address = "", hexPort = ""] = text.split(":");
  const port = Number.parseInt(hexPort, 16);
  if (/^[0-9A-F]{8}$/.test(address)) return `${bytesOf(address).join(".")}:${port}`;
  if (!/^[0-9A-F]{32}$/.test(address)) return text;
  const words = (address.match(/.{8}/g) ?? []).flatMap((word) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytesOf(word);
    return [((a << 8) | b).toString(16), ((c << 8) | d).toString(16)];
  });
  return `[${new URL(`http://[${words.join(":")}]`).hostname.slice(1, -1)}]:${port}`;
}

function bytesOf(word: string): number[] {
  return (word.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)).reverse();
}

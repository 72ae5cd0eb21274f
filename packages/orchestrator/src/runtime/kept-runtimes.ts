import { abortable, CodedError, harmless } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { halves, newNonce, shellCommand } from "../bootstrap.ts";
import { onOneLine } from "../loader.ts";
import { markedLines, readMarked } from "../marked-output.ts";
import { KEEP_FOLDERS, OWN_FOLDER } from "./runtime-ladder.ts";

/** `$1$2` marks the output, `$3` is what is done. Only what is the login's own is touched, where it is itself. */
const SCRIPT = onOneLine(`
${OWN_FOLDER}
mark=$1$2; seen=" ";
echo "farside-look:$mark:begin";
for d in ${KEEP_FOLDERS}; do
  own "$d" || continue;
  case $seen in *" $w "*) continue ;; esac;
  seen="$seen$w ";
  for f in "$w"/node-* "$w"/new-*; do
    if [ -f "$f" ] || [ -L "$f" ]; then :; else continue; fi;
    if [ "$3" = remove ]; then rm -f -- "$f"; fi;
    if [ -e "$f" ]; then echo "$mark left $f"; else echo "$mark gone $f"; fi;
  done;
  if [ "$3" = remove ]; then rmdir "$w" 2>/dev/null; fi;
done;
echo "farside-look:$mark:end"
`);

/** What `--keep-runtime` has left on a host. */
export interface KeptRuntimes {
  /** Paths that are there. */
  readonly left: readonly string[];
  /** Paths that were there and have been removed. */
  readonly removed: readonly string[];
}

/**
 * Looks for kept runtimes of this login, and removes them where `remove` says so; a process that runs on one goes on. Rejects with
 * `teardown.leftovers` where the look is not complete, with what `hop.exec` rejects with, or the signal's reason.
 */
export async function keptRuntimes(
  hop: Pick<Hop, "exec">,
  { remove, signal }: { readonly remove: boolean; readonly signal: AbortSignal },
): Promise<KeptRuntimes> {
  const mark = newNonce();
  const channel = await hop.exec(shellCommand(SCRIPT, [...halves(mark), remove ? "remove" : "look"]), {
    signal,
  });
  channel.on("error", () => {});
  channel.end();
  const stop = () => channel.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    const lines = markedLines(await abortable(readMarked(channel, mark), signal), mark);
    if (lines === undefined) {
      const what = "looking for a Node.js that was kept on the jump host: its look at itself broke off";
      throw new CodedError("teardown.leftovers", what, { leg: "jump" });
    }
    const paths = (kind: string) =>
      lines.flatMap((line) =>
        line.startsWith(`${kind} `) ? [harmless(line.slice(kind.length + 1), 300)] : [],
      );
    return { left: paths("left"), removed: paths("gone") };
  } finally {
    signal.removeEventListener("abort", stop);
    channel.destroy();
  }
}

import { spawn } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import path from "node:path";
import { CodedError, type TerminalSize } from "@farside/protocol";

/** Major number of the devices /dev/pts/N: the kernel's list of devices gives these eight to them. */
const FIRST_PTS_MAJOR = 136;
const LAST_PTS_MAJOR = 143;

interface Wrapped {
  readonly argv: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * `argv` in a terminal. Node.js can't make one; `script` of util-linux does, and copies between it and its own pipes. (A pty
 * channel of SSH would need a second channel, and sshd would be the command's parent.) Throws `agent.unsupported-host`.
 */
export function terminalCommand({
  argv,
  environment,
  terminal,
}: Wrapped & { readonly terminal: TerminalSize & { readonly type: string } }): Wrapped {
  const script = findOnPath("script", environment["PATH"]);
  if (script === undefined) {
    throw new CodedError(
      "agent.unsupported-host",
      "making a terminal on the jump host: it has no script(1)",
      {
        leg: "jump",
        hint: "Install util-linux (Debian: bsdutils) there, or go without --tty.",
      },
    );
  }
  const { columns, rows, type } = terminal;
  // script runs its command with the shell of SHELL, whatever that takes for a quote.
  const shell = environment["SHELL"];
  const back = shell === undefined ? "unset SHELL" : `SHELL=${quote(shell)}`;
  const line = `stty rows ${rows} columns ${columns} 2>/dev/null; ${back}; exec ${argv.map(quote).join(" ")}`;
  return {
    argv: [script, "-q", "-e", "-f", "-c", line, "/dev/null"],
    environment: { ...environment, TERM: type, SHELL: "/bin/sh" },
  };
}

/** Gives the terminal that the child of `scriptPid` has another size; the kernel tells its foreground group. */
export function resizeTerminalOf(scriptPid: number, { columns, rows }: TerminalSize): void {
  const device = terminalOfChild(scriptPid);
  if (device === undefined) return;
  const stty = spawn("stty", ["-F", device, "rows", String(rows), "columns", String(columns)], {
    stdio: "ignore",
  });
  stty.on("error", () => {});
}

function terminalOfChild(pid: number): string | undefined {
  try {
    const child = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")[0];
    const stat = readFileSync(`/proc/${child}/stat`, "latin1");
    const device = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[4]);
    // As makedev(3) packs it.
    const major = (device >> 8) & 0xfff;
    const minor = (device & 0xff) | ((device >> 12) & 0xfff00);
    if (major < FIRST_PTS_MAJOR || major > LAST_PTS_MAJOR) return undefined;
    return `/dev/pts/${(major - FIRST_PTS_MAJOR) * 256 + minor}`;
  } catch {
    return undefined;
  }
}

function findOnPath(program: string, searched = "/usr/bin:/bin"): string | undefined {
  return searched
    .split(":")
    .filter((folder) => folder !== "")
    .map((folder) => path.join(folder, program))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** `word` as one word of a POSIX shell. */
function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

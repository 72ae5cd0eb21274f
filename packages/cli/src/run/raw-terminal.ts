import { execFileSync } from "node:child_process";
import type { CommandContext } from "../command-context.ts";

/**
 * Hands every key and every byte of this terminal over to a terminal elsewhere, as `ssh -t` does; returns what undoes it. By stty: Node's
 * own raw mode goes on changing line ends of the output. Nothing happens where stdin is no terminal.
 */
export function rawTerminal(stdin: CommandContext["stdin"]): () => void {
  if (stdin?.isTTY !== true) return () => undefined;
  const saved = stty("-g")?.trim();
  // The line is that of a terminal's settings, and nothing else.
  if (saved === undefined || !/^[0-9a-fA-F:=a-z]+$/.test(saved) || stty("raw", "-echo") === undefined) {
    stdin.setRawMode?.(true);
    return () => void stdin.setRawMode?.(false);
  }
  const restore = () => {
    process.off("exit", restore);
    stty(saved);
  };
  process.on("exit", restore);
  return restore;
}

/** What stty says about the terminal at stdin; undefined where it fails. */
function stty(...args: string[]): string | undefined {
  try {
    return execFileSync("stty", args, {
      stdio: ["inherit", "pipe", "ignore"],
      encoding: "utf8",
      timeout: 5_000,
    });
  } catch {
    return undefined;
  }
}

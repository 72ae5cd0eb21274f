import { hostname } from "node:os";
import path from "node:path";
import { harmless } from "@farside/protocol";
import { teardownHere } from "./teardown-here.ts";

const LEFTOVERS = 75;

/**
 * `agent.cjs teardown [--json]`, on the host itself: ends all agents of this user but the installed ones and prints what is left.
 * Resolves with the exit code: 0 when nothing is, 75 when something is.
 */
export async function runTeardown(
  words: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  print: (line: string) => void,
): Promise<number> {
  const uid = process.getuid?.() ?? 0;
  const dataHome = environment["XDG_DATA_HOME"];
  const share =
    dataHome !== undefined && path.isAbsolute(dataHome)
      ? dataHome
      : path.join(environment["HOME"] ?? "/", ".local/share");
  const left = await teardownHere({ uid, environment, installedRoot: path.join(share, "farside") });
  const clean = left.processes.length + left.files.length === 0;
  const lists = { processes: left.processes, listeners: [], files: left.files };
  if (words.includes("--json")) print(JSON.stringify({ session: "*", host: hostname(), ...lists, clean }));
  else if (clean) print("nothing left");
  else for (const item of [...left.processes, ...left.files]) print(`left: ${harmless(item, 300)}`);
  return clean ? 0 : LEFTOVERS;
}

import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/** `$XDG_CACHE_HOME/farside/runtimes`, else below `~/.cache`: what was fetched or packed once. */
export function runtimeCache(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const cache = environment["XDG_CACHE_HOME"];
  // A relative one is to be ignored (XDG Base Directory Specification).
  const base = cache !== undefined && isAbsolute(cache) ? cache : join(homedir(), ".cache");
  return join(base, "farside", "runtimes");
}

import { mkdir, rmdir } from "node:fs/promises";
import path from "node:path";
import { writeFailure } from "../installed/write-failure.ts";
import { pathExists } from "../path-exists.ts";

/**
 * Makes what is missing of `wanted` and above it, each of mode 0700; those that were made, outermost first. Where one can't be made, none
 * of the others is left. Rejects as `writeFailure` says it.
 */
export async function makeFolders(wanted: readonly string[]): Promise<string[]> {
  const made: string[] = [];
  try {
    for (const folder of wanted) {
      const missing: string[] = [];
      for (let at = folder; !(await pathExists(at)); at = path.dirname(at)) missing.unshift(at);
      for (const each of missing) {
        await mkdir(each, { mode: 0o700 }).catch((error: unknown) => {
          throw writeFailure(each, error);
        });
        made.push(each);
      }
    }
    return made;
  } catch (error) {
    for (const each of made.reverse()) await rmdir(each).catch(() => undefined);
    throw error;
  }
}

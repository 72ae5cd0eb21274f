import { createHash } from "node:crypto";
import { readdir, realpath, rm } from "node:fs/promises";
import path from "node:path";
import type { FolderPlaces } from "./agent-folder.ts";
import { replaceFile } from "./replace-file.ts";
import { CODE_CACHE, COMPILED } from "./start-text.ts";

/** By then what a start runs has been run, and so compiled. */
export const SETTLED_MS = 3_000;

/** See `START_TEXT`. */
interface Compiled {
  readonly script: { createCachedData(): Buffer };
  readonly cache: string;
  readonly isTaken: boolean;
}

/** Whether this process's bundle was compiled before it started. */
export function tookCodeCache(scope: object): boolean {
  return (scope as { [COMPILED]?: Compiled })[COMPILED]?.isTaken === true;
}

/**
 * Keeps what V8 has compiled of this process's bundle for its next start, where `start.cjs` ran it without: of mode 0600, in
 * the agent's own folder, beside no other. A bundle that is no longer the current one keeps nothing.
 */
export async function keepCodeCache(places: FolderPlaces, bundle: string, scope: object): Promise<void> {
  const compiled = (scope as { [COMPILED]?: Compiled })[COMPILED];
  delete (scope as { [COMPILED]?: Compiled })[COMPILED];
  if (compiled === undefined || compiled.isTaken) return;
  if ((await realpath(places.program)) !== bundle) return;
  const data = compiled.script.createCachedData();
  await replaceFile(compiled.cache, Buffer.concat([createHash("sha256").update(data).digest(), data]));
  await removeCodeCaches(places, path.basename(compiled.cache));
}

/** Removes every code cache but `kept`. */
export async function removeCodeCaches({ folder }: FolderPlaces, kept?: string): Promise<void> {
  for (const file of await readdir(folder))
    if (CODE_CACHE.test(file) && file !== kept) await rm(path.join(folder, file), { force: true });
}

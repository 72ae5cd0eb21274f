import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

/** Half a second more of work for each further level, and next to nothing gained. */
const LEVEL = 6;
/** Packed runtimes that are kept: of two machines and a version change. */
const MAX_KEPT = 4;

export interface PackedFile {
  readonly path: string;
  readonly bytes: number;
}

/**
 * The file at `path`, whose SHA-256 is `digest`, packed by gzip: from the cache, or made once, which takes some seconds. What
 * the cache has is not checked again: the host checks what it unpacks.
 */
export async function packRuntime(
  path: string,
  digest: string,
  options: {
    readonly cache: string;
    readonly onPack?: (() => void) | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<PackedFile> {
  const { cache, onPack, signal } = options;
  const packed = join(cache, `${digest}.gz`);
  const known = await stat(packed).catch(() => undefined);
  if (known !== undefined) {
    const now = new Date();
    await utimes(packed, now, now).catch(() => {});
    return { path: packed, bytes: known.size };
  }
  onPack?.();
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const unfinished = `${packed}.${process.pid}-${Date.now()}`;
  try {
    await pipeline(
      createReadStream(path, { highWaterMark: 1024 * 1024 }),
      createGzip({ level: LEVEL }),
      createWriteStream(unfinished, { mode: 0o600 }),
      { ...(signal && { signal }) },
    );
    const { size } = await stat(unfinished);
    await rename(unfinished, packed);
    await removeOldest(cache);
    return { path: packed, bytes: size };
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    await rm(unfinished, { force: true });
  }
}

async function removeOldest(cache: string): Promise<void> {
  const names = (await readdir(cache)).filter((name) => /^[0-9a-f]{64}\.gz$/.test(name));
  const files = await Promise.all(
    names.map(async (name) => ({ path: join(cache, name), at: (await stat(join(cache, name))).mtimeMs })),
  );
  for (const { path } of files.sort((a, b) => b.at - a.at).slice(MAX_KEPT)) await rm(path, { force: true });
}

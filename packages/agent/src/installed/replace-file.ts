import { open, rename, rm } from "node:fs/promises";
import { writeFailure } from "./write-failure.ts";

/** Writes `file` as a whole or not at all, of mode 0600, also across a crash of the host. Rejects as `writeFailure` says it. */
export async function replaceFile(file: string, content: string | Uint8Array): Promise<void> {
  const unfinished = `${file}.new`;
  await rm(unfinished, { force: true });
  try {
    const handle = await open(unfinished, "wx", 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => {});
    throw writeFailure(file, error);
  }
}

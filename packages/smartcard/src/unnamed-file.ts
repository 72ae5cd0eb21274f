import { randomBytes } from "node:crypto";
import { closeSync, openSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * A file that has no name any more, so that nothing is left of it however its owners end: its descriptor, with `text` in it and
 * to be read from the start. Made in `folder`, else in the folder for temporary files. Whoever asked for it closes it.
 */
export function unnamedFile(text: string, folder: string | undefined): number {
  try {
    return made(text, folder ?? tmpdir());
  } catch (error) {
    // XDG_RUNTIME_DIR often names a folder of another user after su and sudo.
    if (folder === undefined) throw error;
    return made(text, tmpdir());
  }
}

function made(text: string, folder: string): number {
  const path = join(folder, `farside-signer-${randomBytes(9).toString("base64url")}`);
  const descriptor = openSync(path, "wx+", 0o600);
  try {
    unlinkSync(path);
    // At a position: the descriptor's own stays at the start, which is where some systems read from.
    writeSync(descriptor, text, 0);
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

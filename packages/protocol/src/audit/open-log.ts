import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { CodedError } from "../errors.ts";

/** Opens a log to append to: 0600, and never through a link. Rejects with `config.invalid` for what is no file of this user. */
export async function openLog(path: string): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW;
  const handle = await open(path, flags, 0o600);
  try {
    const facts = await handle.stat();
    if (!facts.isFile() || facts.uid !== (process.getuid?.() ?? facts.uid))
      throw new CodedError("config.invalid", `${path} is not a file of this user`);
    if ((facts.mode & 0o077) !== 0) await handle.chmod(0o600);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { AuditFiles, type ChainHead, withFileLock } from "@farside/protocol/audit";

interface HeldFile {
  readonly handle: FileHandle;
  readonly bytes: number;
}

/**
 * All files of an agent's audit log as they were between two of its lines, oldest first: open, so that it may be written to and
 * rotated meanwhile.
 */
export class HeldAudit implements AsyncDisposable {
  /** How many there are in all. */
  readonly bytes: number;
  /** What the agent has kept of its newest line. */
  readonly head: ChainHead | undefined;
  readonly #files: readonly HeldFile[];

  /** Waits for whoever writes; rejects where that takes longer than 5 s, or a file can't be read. */
  static async hold(folder: string): Promise<HeldAudit> {
    const files = new AuditFiles(folder);
    return withFileLock(files.lock, async () => {
      const held: HeldFile[] = [];
      try {
        for (const path of [...(await files.listOlder()), files.current]) {
          const file = await holdFile(path);
          if (file !== undefined) held.push(file);
        }
        return new HeldAudit(held, await files.readHead());
      } catch (error) {
        for (const { handle } of held) await handle.close();
        throw error;
      }
    });
  }

  private constructor(files: readonly HeldFile[], head: ChainHead | undefined) {
    this.#files = files;
    this.bytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
    this.head = head;
  }

  /** `length` bytes from `offset` on; fewer at the end. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const data = Buffer.alloc(Math.max(0, Math.min(length, this.bytes - offset)));
    let [filled, begin] = [0, 0];
    for (const { handle, bytes } of this.#files) {
      while (filled < data.length && offset + filled < begin + bytes) {
        const at = offset + filled - begin;
        const wanted = Math.min(data.length - filled, bytes - at);
        const { bytesRead } = await handle.read(data, filled, wanted, at);
        // It was cut off meanwhile, which nothing of ours does.
        if (bytesRead === 0) return data.subarray(0, filled);
        filled += bytesRead;
      }
      begin += bytes;
    }
    return data;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#files.map(({ handle }) => handle.close()));
  }
}

/** Undefined where there is no such file. */
async function holdFile(path: string): Promise<HeldFile | undefined> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    const facts = await handle.stat();
    if (facts.isFile()) return { handle, bytes: facts.size };
    await handle.close();
    throw new Error(`${path} is no file`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

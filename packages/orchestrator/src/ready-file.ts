import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { CodedError } from "@farside/protocol";

/** Writes `content` as JSON to `path`, at once or not at all, for scripts that wait for a session to be ready. Throws `config.invalid`. */
export async function writeReadyFile(path: string, content: object): Promise<void> {
  const unfinished = `${path}.${process.pid}.new`;
  try {
    await writeFile(unfinished, `${JSON.stringify(content)}\n`, { mode: 0o600, flag: "wx" });
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => {});
    throw new CodedError("config.invalid", `cannot write --ready-file ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Removes the ready file that a session whose orchestrator was killed has left; another session's at the same path stays. */
export async function removeStaleReadyFile(
  path: string | undefined,
  owner: { name: string; pid: number },
): Promise<void> {
  if (path === undefined) return;
  try {
    const { session, pid } = JSON.parse(await readFile(path, "utf8"));
    if (session === owner.name && pid === owner.pid) await rm(path, { force: true });
  } catch {
    // Gone already, or nothing of ours.
  }
}

/** Removes a ready file at the session's end; what is not there is fine. */
export async function removeReadyFile(path: string | undefined): Promise<void> {
  if (path !== undefined) await rm(path, { force: true }).catch(() => {});
}

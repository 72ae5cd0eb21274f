import { readdir } from "node:fs/promises";

/** The folders of sessions in the state folder `root`, beside the audit log. */
export async function sessionFolders(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
}

import { lstat } from "node:fs/promises";

/** Whether `file` is there, be it a link that leads nowhere. */
export function pathExists(file: string): Promise<boolean> {
  return lstat(file).then(
    () => true,
    () => false,
  );
}

import path from "node:path";

/** `file` with `~/` replaced by the login's home. */
export function expandHome(file: string, home: string): string {
  return file.startsWith("~/") ? path.join(home, file.slice(2)) : file;
}

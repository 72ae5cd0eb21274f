import path from "node:path";

/** A folder of that name is there, beside the socket, while that is bound. */
const FOLDER = ".farside";

/** The folder that a detour to `file` leads through. */
export function detourFolder(file: string): string {
  return path.join(path.dirname(file), FOLDER);
}

/** A path that leads to `file` while its `detourFolder` is there; /proc/net/unix shows a socket by what it was bound to. */
export function detourOf(file: string): string {
  return `${detourFolder(file)}/../${path.basename(file)}`;
}

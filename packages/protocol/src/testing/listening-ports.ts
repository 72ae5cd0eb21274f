import { readdir, readFile, readlink } from "node:fs/promises";

const LISTENING = "0A";

/** TCP ports that the process `pid` of this user listens on. */
export async function listeningPorts(pid: number): Promise<number[]> {
  const folder = `/proc/${pid}`;
  const descriptors = await readdir(`${folder}/fd`);
  const links = await Promise.all(
    descriptors.map((each) => readlink(`${folder}/fd/${each}`).catch(() => "")),
  );
  const tables = await Promise.all(
    ["tcp", "tcp6"].map((name) => readFile(`${folder}/net/${name}`, "latin1")),
  );
  return tables.flatMap((table) =>
    table.split("\n").flatMap((row) => {
      const [, local = "", , state, , , , , , inode] = row.trim().split(/\s+/);
      const isOurs = state === LISTENING && links.includes(`socket:[${inode}]`);
      return isOurs ? [Number.parseInt(local.split(":")[1] ?? "", 16)] : [];
    }),
  );
}

import { readdir, readFile, readlink } from "node:fs/promises";
import type { Host } from "../lab/host.ts";

/** The machine's pid of a process that its host knows as `inner`. */
export async function machinePid(host: Host, inner: number): Promise<number> {
  const namespace = await readlink(`/proc/${host.initPid}/ns/pid`);
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if ((await readlink(`/proc/${name}/ns/pid`)) !== namespace) continue;
      const status = await readFile(`/proc/${name}/status`, "utf8");
      if (Number(/^NSpid:.*\s(\d+)$/m.exec(status)?.[1]) === inner) return Number(name);
    } catch {
      // It ended while it was being looked at.
    }
  }
  throw new Error(`${host.name} has no process ${inner}`);
}

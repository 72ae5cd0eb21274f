import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** What Linux shows of a process to its user. */
export async function processFacts(pid: number) {
  const read = (name: string): Promise<string> => readFile(`/proc/${pid}/${name}`, "latin1");
  const [commandLine, environment, stat, limits, dumped] = await Promise.all(
    ["cmdline", "environ", "stat", "limits", "coredump_filter"].map(read),
  );
  // Behind the name, which may hold anything: state, parent, process group, session.
  const [, , group, session] = (stat ?? "").slice((stat ?? "").lastIndexOf(")") + 2).split(" ");
  return {
    commandLine: (commandLine ?? "").replaceAll("\0", " "),
    environment: (environment ?? "").split("\0"),
    group: Number(group),
    session: Number(session),
    /** Kinds of memory that a core dump would hold, as a hexadecimal mask. */
    coreDumpMemory: dumped?.trim(),
    /** The limit as it is, and the one up to which the process may raise it. */
    coreDumpBytes: /Max core file size\s+(\S+)\s+(\S+)/.exec(limits ?? "")?.slice(1, 3),
  };
}

/** Resolves once `pid` is gone (a zombie counts as gone); rejects after `timeoutMs`. */
export async function processGone(pid: number, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
    if (stat === "" || /\) Z /.test(stat)) return;
    if (Date.now() > deadline) throw new Error(`process ${pid} still runs after ${timeoutMs} ms`);
    await delay(20);
  }
}

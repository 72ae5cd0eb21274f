import { readdir, readFile } from "node:fs/promises";
import type { JumpHost } from "./jump-host.ts";

/** The session's ssh, the supervisor's shell, and the two that watch stdin and the lease. */
export async function engineProcesses(
  host: JumpHost,
  name: string,
): Promise<Record<"ssh" | "supervisor" | "watchers", number[]>> {
  const log = await readFile(host.sshd.folder.file(`state/${name}/undo.jsonl`), "utf8");
  const nonce = /"nonce":"([0-9a-f]{32})"/.exec(log)?.[1] ?? "none";
  const found: { pid: number; parent: number; comm: string }[] = [];
  for (const pid of (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry))) {
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, "latin1").catch(() => "");
    if (!(await read("environ")).includes(nonce)) continue;
    const [, comm = "", parent = ""] = /\((.*)\) \S (\d+)/.exec(await read("stat")) ?? [];
    found.push({ pid: Number(pid), parent: Number(parent), comm });
  }
  const ssh = found.filter(({ comm }) => comm === "ssh");
  const supervisor = ssh.map(({ parent }) => parent);
  const watchers = found.filter(({ comm, parent }) => comm === "sh" && supervisor.includes(parent));
  return { ssh: ssh.map(({ pid }) => pid), supervisor, watchers: watchers.map(({ pid }) => pid) };
}

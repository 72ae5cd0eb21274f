import { readdir, readFile, readlink } from "node:fs/promises";
import { agentTitle, parseAgentTitle } from "../takeover/agent-title.ts";
import { detourOf } from "./detour.ts";
import { TCP_STATE, type TcpTable, tcpEndpoint, visitTcpRows } from "./proc-net-tcp.ts";
import { listeningUnixSockets } from "./proc-net-unix.ts";
import { readProcFile } from "./read-proc-file.ts";
import { userNameOf } from "./user-names.ts";

/** Looking through all processes must not hold an answer up. */
const SEARCH_TIMEOUT_MS = 3000;
const MAX_SHOWN_TITLE = 60;

interface ListeningSocket {
  readonly uid: number;
  readonly inode: number;
}

/**
 * Who listens on `port` so that `address` can't be bound: `pid 123 (nginx)` where we may look into that process, else
 * the user; undefined where neither can be known. Never rejects.
 */
export async function holderOfPort(address: string, port: number): Promise<string | undefined> {
  return describeHolder(await findListeningSocket(address, port).catch(() => undefined));
}

/** Who listens on the unix socket at `path`; undefined where nobody does, or nobody can be named. Never rejects. */
export async function holderOfUnixSocket(path: string): Promise<string | undefined> {
  const pid = await processOfUnixSocket(path);
  return pid === undefined ? undefined : describeProcess(pid);
}

/** Whether anybody listens on `port` so that `address` can't be bound. Never rejects. */
export async function isPortHeld(address: string, port: number): Promise<boolean> {
  return (await findListeningSocket(address, port).catch(() => undefined)) !== undefined;
}

/** Pid of the process that does, among those that we may look into. Never rejects. */
export async function processOfPort(address: string, port: number): Promise<number | undefined> {
  const socket = await findListeningSocket(address, port).catch(() => undefined);
  return socket === undefined ? undefined : processOfSocket(socket.inode);
}

/** Pid of the process that listens on the unix socket at `path`, among those that we may look into. Never rejects. */
export async function processOfUnixSocket(path: string): Promise<number | undefined> {
  const sockets = await listeningUnixSockets();
  const inode = sockets.find((each) => each.path === path || each.path === detourOf(path))?.inode;
  if (inode === undefined) return undefined;
  return processOfSocket(inode);
}

/** Whether somebody listens on `port` so that `address` can't be bound, as far as /proc shows it. */
export async function isHeld(address: string, port: number): Promise<boolean> {
  return (await findListeningSocket(address, port)) !== undefined;
}

async function describeHolder(socket: ListeningSocket | undefined): Promise<string | undefined> {
  if (socket === undefined) return undefined;
  const pid = await processOfSocket(socket.inode);
  return pid === undefined ? `a process of the user ${await userNameOf(socket.uid)}` : describeProcess(pid);
}

async function findListeningSocket(address: string, port: number): Promise<ListeningSocket | undefined> {
  const found: ListeningSocket[] = [];
  for (const table of ["tcp", "tcp6"] as const) {
    const bytes = await readProcFile(`/proc/net/${table}`).catch(() => Buffer.alloc(0));
    const conflicting = conflictingEndpoints(address, port, table);
    visitTcpRows(bytes, table, undefined, ({ state, local, uid, inode }) => {
      if (state === TCP_STATE.listen && conflicting.has(local)) found.push({ uid, inode });
    });
  }
  return found[0];
}

function conflictingEndpoints(address: string, port: number, table: TcpTable): ReadonlySet<string> {
  const wildcard = table === "tcp" ? "0.0.0.0" : "::";
  const endpoints = [address, wildcard].map((each) => tcpEndpoint(each, port, table));
  return new Set(endpoints.filter((each) => each !== undefined));
}

async function describeProcess(pid: number): Promise<string> {
  return `pid ${pid} (${await titleOf(pid)})`;
}

/** A process that has the socket open, among those whose descriptors we may see. */
async function processOfSocket(inode: number): Promise<number | undefined> {
  const wanted = `socket:[${inode}]`;
  const giveUpAt = performance.now() + SEARCH_TIMEOUT_MS;
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    if (performance.now() > giveUpAt) return undefined;
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const descriptor of descriptors) {
      const link = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
      if (link === wanted) return Number(pid);
    }
  }
  return undefined;
}

/** The process's name; for an agent its whole title, which names its session, or what it was installed as. Any user chooses these: only plain letters pass. */
async function titleOf(pid: number): Promise<string> {
  const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
  // The kernel keeps 15 characters of it.
  const isAgent = /^farside-(?:agent|install)/.test(name);
  const own = isAgent ? await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => name) : name;
  const agent = parseAgentTitle(own.replace(/\0+$/, ""));
  const title = agent === undefined ? own : agentTitle(agent.session);
  return (
    title
      .replace(/[^\x20-\x7e]+/g, " ")
      .trim()
      .slice(0, MAX_SHOWN_TITLE) || "unknown"
  );
}

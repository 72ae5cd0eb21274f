/** Readers of /proc/<pid>/net: the sockets and interfaces of a network namespace, seen from outside it. */
import { readFile } from "node:fs/promises";

/** Listening sockets, one line each: `tcp 127.0.0.1:4444 uid 1500`, `udp …`, `unix /path`. */
export async function listenersOf(pid: number): Promise<string[]> {
  // The kernel hands these tables out in pieces: when sockets come and go between two, a row can be lost or come twice.
  const MAX_READS = 10;
  let last = await readListeners(pid);
  for (let reads = 1; reads < MAX_READS; reads += 1) {
    const again = await readListeners(pid);
    if (again.join("\n") === last.join("\n")) break;
    last = again;
  }
  return last;
}

async function readListeners(pid: number): Promise<string[]> {
  const [tcp, tcp6, udp, udp6, unix] = await Promise.all(
    ["tcp", "tcp6", "udp", "udp6", "unix"].map((name) => readFile(`/proc/${pid}/net/${name}`, "utf8")),
  );
  const LISTEN = "0A";
  const UNCONNECTED = "07";
  return [
    ...inetRows(tcp, LISTEN).map((row) => `tcp ${row}`),
    ...inetRows(tcp6, LISTEN).map((row) => `tcp ${row}`),
    ...inetRows(udp, UNCONNECTED).map((row) => `udp ${row}`),
    ...inetRows(udp6, UNCONNECTED).map((row) => `udp ${row}`),
    ...unixListeners(unix ?? ""),
  ].sort();
}

/** Whether something listens on TCP `port` in the namespace of `pid`. */
export async function isListening(pid: number, port: number): Promise<boolean> {
  const listeners = await listenersOf(pid);
  return listeners.some((line) => line.startsWith("tcp ") && line.split(" ")[1]?.endsWith(`:${port}`));
}

export interface LinkBytes {
  readonly received: number;
  readonly sent: number;
}

/** Counters of an interface, headers included. */
export async function linkBytesOf(pid: number, name: string): Promise<LinkBytes> {
  const text = await readFile(`/proc/${pid}/net/dev`, "utf8");
  const line = text.split("\n").find((candidate) => candidate.trim().startsWith(`${name}:`));
  if (line === undefined) throw new Error(`no interface ${name} in the namespace of ${pid}`);
  const numbers = line
    .slice(line.indexOf(":") + 1)
    .trim()
    .split(/\s+/)
    .map(Number);
  return { received: numbers[0] ?? 0, sent: numbers[8] ?? 0 };
}

function inetRows(table: string | undefined, state: string): string[] {
  const rows = new Map<string, string>();
  for (const line of (table ?? "").split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/);
    const [, address, , rowState, , , , uid, , inode] = fields;
    if (rowState !== state || address === undefined || inode === undefined) continue;
    rows.set(inode, `${inetAddress(address)} uid ${uid}`);
  }
  return [...rows.values()];
}

/** `0100007F:115C` → `127.0.0.1:4444`. The kernel prints 32-bit words in host order; little-endian machines only. */
export function inetAddress(field: string): string {
  const [hex = "", port = ""] = field.split(":");
  const bytes = Buffer.from(hex, "hex");
  for (let offset = 0; offset + 4 <= bytes.length; offset += 4) bytes.subarray(offset, offset + 4).reverse();
  const number = Number.parseInt(port, 16);
  if (bytes.length === 4) return `${[...bytes].join(".")}:${number}`;
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  const address = groups.join(":");
  if (address === "0:0:0:0:0:0:0:0") return `[::]:${number}`;
  if (address === "0:0:0:0:0:0:0:1") return `[::1]:${number}`;
  return `[${address}]:${number}`;
}

function unixListeners(table: string): string[] {
  const ACCEPTING = 0x10000;
  const rows: string[] = [];
  for (const line of table.split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/);
    if ((Number.parseInt(fields[3] ?? "0", 16) & ACCEPTING) === 0) continue;
    rows.push(`unix ${fields.slice(7).join(" ") || "(unnamed)"}`);
  }
  return rows;
}

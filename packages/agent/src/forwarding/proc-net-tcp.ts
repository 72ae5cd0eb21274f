import { isIPv6 } from "node:net";
import os from "node:os";

/** States of a row in /proc/net/tcp that concern us (include/net/tcp_states.h). */
export const TCP_STATE = { established: 1, finWait1: 4, finWait2: 5, listen: 10 } as const;

/** One row of /proc/net/tcp or tcp6. */
export interface TcpRow {
  /** `0100007F:115C`, as the kernel writes it. */
  readonly local: string;
  readonly remote: string;
  readonly state: number;
  readonly uid: number;
  /** 0 once the socket's owner has closed it; uid is then 0 as well and means nothing. */
  readonly inode: number;
}

const COLON = 0x3a;
const NEWLINE = 0x0a;
const PORT_LENGTH = 5;
const ADDRESS_LENGTH = { tcp: 8, tcp6: 32 } as const;
export type TcpTable = keyof typeof ADDRESS_LENGTH;

/**
 * Calls `visit` with the rows of `table` whose `local remote` text `wanted` holds (every row where there is no `wanted`).
 * Thousands of rows are common, so only wanted ones are taken apart.
 */
export function visitTcpRows(
  bytes: Buffer,
  table: TcpTable,
  wanted: { has(key: string): boolean } | undefined,
  visit: (row: TcpRow) => void,
): void {
  const endpointLength = ADDRESS_LENGTH[table] + PORT_LENGTH;
  const keyLength = 2 * endpointLength + 1;
  for (let line = 0; line < bytes.length; ) {
    const found = bytes.indexOf(NEWLINE, line);
    const end = found < 0 ? bytes.length : found;
    // The header has no colon: the one that is found then is of the next line.
    const start = bytes.indexOf(COLON, line) + 2;
    if (start >= 2 && start + keyLength < end) {
      const key = bytes.toString("latin1", start, start + keyLength);
      if (wanted === undefined || wanted.has(key)) {
        const row = readRow(key, endpointLength, bytes.toString("latin1", start + keyLength, end));
        if (row !== undefined) visit(row);
      }
    }
    line = end + 1;
  }
}

/** `rest`: ` st tx:rx tr:when retransmits uid timeout inode …`. */
function readRow(key: string, endpointLength: number, rest: string): TcpRow | undefined {
  const fields = rest.trim().split(/ +/, 7);
  const state = Number.parseInt(fields[0] ?? "", 16);
  const uid = Number(fields[4]);
  const inode = Number(fields[6]);
  if (!Number.isSafeInteger(state) || !Number.isSafeInteger(uid) || !Number.isSafeInteger(inode))
    return undefined;
  return { local: key.slice(0, endpointLength), remote: key.slice(endpointLength + 1), state, uid, inode };
}

/** The text of an endpoint in `table`; undefined for an address that can't stand there. */
export function tcpEndpoint(address: string, port: number, table: TcpTable): string | undefined {
  const portText = port.toString(16).toUpperCase().padStart(4, "0");
  const bytes = table === "tcp" ? ipv4Bytes(address) : ipv6Bytes(address);
  return bytes === undefined ? undefined : `${kernelHex(bytes)}:${portText}`;
}

/** The kernel prints an address as 32-bit words in its own byte order. */
function kernelHex(bytes: Buffer): string {
  const words = Buffer.from(bytes);
  if (os.endianness() === "LE") words.swap32();
  return words.toString("hex").toUpperCase();
}

/** The four bytes of an IPv4 address, mapped ones too; undefined for anything else. */
export function ipv4Bytes(address: string): Buffer | undefined {
  const text = address.toLowerCase().startsWith("::ffff:") ? address.slice(7) : address;
  const parts = text.split(".").map(Number);
  const isValid =
    parts.length === 4 && parts.every((part) => Number.isInteger(part) && part >= 0 && part < 256);
  return isValid ? Buffer.from(parts) : undefined;
}

/** IPv4 addresses come out in their mapped form, as a dual-stack socket's rows show them. */
export function ipv6Bytes(address: string): Buffer | undefined {
  const mapped = ipv4Bytes(address);
  if (mapped !== undefined) return Buffer.concat([Buffer.alloc(10), Buffer.of(0xff, 0xff), mapped]);
  const bare = address.split("%")[0] ?? "";
  if (!isIPv6(bare) || bare.includes(".")) return undefined;
  const [head = "", tail] = bare.split("::");
  const groups = (text: string) =>
    text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const bytes = Buffer.alloc(16);
  front.forEach((group, index) => {
    bytes.writeUInt16BE(group, 2 * index);
  });
  back.forEach((group, index) => {
    bytes.writeUInt16BE(group, 16 - 2 * (back.length - index));
  });
  return bytes;
}

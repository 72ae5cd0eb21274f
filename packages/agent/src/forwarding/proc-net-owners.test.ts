import { describe, expect, test } from "vitest";
import { ProcNetOwners, type ReadTable } from "./proc-net-owners.ts";
import { type TcpTable, tcpEndpoint } from "./proc-net-tcp.ts";
import type { ConnectionAddresses } from "./socket-owner.ts";

const connection: ConnectionAddresses = {
  localAddress: "127.0.0.1",
  localPort: 4444,
  remoteAddress: "127.0.0.1",
  remotePort: 50_000,
};

interface FakeRow {
  readonly state?: string;
  readonly uid: number;
  readonly inode: number;
  readonly table?: TcpTable;
}

/** Tables in which the client's row of `connection` is `row`; counts the reads. */
function tables(row: FakeRow | undefined) {
  const reads: TcpTable[] = [];
  const read: ReadTable = async (table, take) => {
    reads.push(table);
    if (row === undefined || (row.table ?? "tcp") !== table) {
      take(Buffer.from("header\n"));
      return;
    }
    const client = tcpEndpoint(connection.remoteAddress, connection.remotePort, table);
    const server = tcpEndpoint(connection.localAddress, connection.localPort, table);
    const numbers = `00000000:00000000 00:00000000 00000000 ${row.uid} 0 ${row.inode} 1`;
    take(Buffer.from(`header\n   0: ${client} ${server} ${row.state ?? "01"} ${numbers}\n`));
  };
  return { reads, lookup: new ProcNetOwners(read) };
}

describe("the owner of a connection in the tables of /proc", () => {
  test("is found for a client that uses an IPv6 socket with a mapped address", async () => {
    const { lookup } = tables({ uid: 12, inode: 99, table: "tcp6" });
    expect(await lookup.ownerOf(connection)).toBe(12);
  });

  test("is unknown for a row whose owner has closed the socket, though it says uid 0", async () => {
    const { lookup } = tables({ uid: 0, inode: 0, state: "04" });
    expect(await lookup.ownerOf(connection)).toBe("released");
  });

  test.each(["02", "06", "07", "0A"])("is unknown for a row in state %s", async (state) => {
    const { lookup } = tables({ uid: 1000, inode: 5, state });
    expect(await lookup.ownerOf(connection)).toBe("released");
  });

  test("is unknown where there is no row after a second look", async () => {
    const { lookup, reads } = tables(undefined);
    expect(await lookup.ownerOf(connection)).toBe("missing");
    expect(reads).toEqual(["tcp", "tcp6", "tcp", "tcp6"]);
  });

  test("is unknown where there is no table", async () => {
    const lookup = new ProcNetOwners(() => Promise.reject(new Error("ENOENT")));
    expect(await lookup.ownerOf(connection)).toBe("missing");
  });

  test("is read once for all who wait, and read anew for one that came during the read", async () => {
    const { lookup, reads } = tables({ uid: 1000, inode: 5 });
    const during = lookup.ownerOf(connection);
    const after = [lookup.ownerOf(connection), lookup.ownerOf(connection), lookup.ownerOf(connection)];
    expect(await Promise.all([during, ...after])).toEqual([1000, 1000, 1000, 1000]);
    expect(reads).toEqual(["tcp", "tcp"]);
  });
});

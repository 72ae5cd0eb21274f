import { once } from "node:events";
import type net from "node:net";
import { describe, expect, test } from "vitest";
import { connect, serveTcp } from "../testing/tcp.ts";
import { type ConnectionAddresses, PeerUidLookup } from "./peer-uid.ts";
import { type TcpTable, tcpEndpoint } from "./proc-net-tcp.ts";

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
  const read = async (table: TcpTable) => {
    reads.push(table);
    if (row === undefined || (row.table ?? "tcp") !== table) return Buffer.from("header\n");
    const client = tcpEndpoint(connection.remoteAddress, connection.remotePort, table);
    const server = tcpEndpoint(connection.localAddress, connection.localPort, table);
    const numbers = `00000000:00000000 00:00000000 00000000 ${row.uid} 0 ${row.inode} 1`;
    return Buffer.from(`header\n   0: ${client} ${server} ${row.state ?? "01"} ${numbers}\n`);
  };
  return { reads, lookup: new PeerUidLookup(read) };
}

describe("the owner of a connection", () => {
  test.each(["127.0.0.1", "::1"])("is our own uid for a connection of ours to %s", async (host) => {
    await using server = await serveTcp(() => {}, { host, port: 0 });
    const client = await connect({ host, port: server.port });
    const { localAddress, localPort, remoteAddress, remotePort } = await server.first;
    const lookup = new PeerUidLookup();
    const addresses = { localAddress, localPort, remoteAddress, remotePort } as ConnectionAddresses;
    expect(await lookup.uidOf(addresses)).toBe(process.getuid?.());
    client.end();
    await once(await server.first.then((socket) => socket.resume()), "end");
    // Closed for writing only: still the client's.
    expect(await lookup.uidOf(addresses)).toBe(process.getuid?.());
    client.destroy();
    await once(client, "close");
    expect(await lookup.uidOf(addresses)).toBeUndefined();
  });

  test("is found for a client that uses an IPv6 socket with a mapped address", async () => {
    const { lookup } = tables({ uid: 12, inode: 99, table: "tcp6" });
    expect(await lookup.uidOf(connection)).toBe(12);
  });

  test("is unknown for a row whose owner has closed the socket, though it says uid 0", async () => {
    const { lookup } = tables({ uid: 0, inode: 0, state: "04" });
    expect(await lookup.uidOf(connection)).toBeUndefined();
  });

  test.each(["02", "06", "07", "0A"])("is unknown for a row in state %s", async (state) => {
    const { lookup } = tables({ uid: 1000, inode: 5, state });
    expect(await lookup.uidOf(connection)).toBeUndefined();
  });

  test("is unknown where there is no row after a second look", async () => {
    const { lookup, reads } = tables(undefined);
    expect(await lookup.uidOf(connection)).toBeUndefined();
    expect(reads).toEqual(["tcp", "tcp6", "tcp", "tcp6"]);
  });

  test("is unknown where there is no table", async () => {
    const lookup = new PeerUidLookup(() => Promise.reject(new Error("ENOENT")));
    expect(await lookup.uidOf(connection)).toBeUndefined();
  });

  test("is read once for all who wait, and read anew for one that came during the read", async () => {
    const { lookup, reads } = tables({ uid: 1000, inode: 5 });
    const during = lookup.uidOf(connection);
    const after = [lookup.uidOf(connection), lookup.uidOf(connection), lookup.uidOf(connection)];
    expect(await Promise.all([during, ...after])).toEqual([1000, 1000, 1000, 1000]);
    expect(reads).toEqual(["tcp", "tcp"]);
  });

  test("is told for a thousand connections at once in well under a second", async () => {
    await using server = await serveTcp(() => {}, { host: "127.0.0.1", port: 0, backlog: 2000 });
    const clients = await Promise.all(
      Array.from({ length: 1000 }, () => connect({ host: "127.0.0.1", port: server.port })),
    );
    const lookup = new PeerUidLookup();
    const startedAt = performance.now();
    const uids = await Promise.all(
      clients.map((client) =>
        lookup.uidOf({
          localAddress: "127.0.0.1",
          localPort: server.port,
          remoteAddress: "127.0.0.1",
          remotePort: (client.address() as net.AddressInfo).port,
        }),
      ),
    );
    expect(new Set(uids)).toEqual(new Set([process.getuid?.()]));
    expect(performance.now() - startedAt).toBeLessThan(2000);
    for (const client of clients) client.destroy();
  });
});

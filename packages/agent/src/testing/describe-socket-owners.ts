import { once } from "node:events";
import type net from "node:net";
import { describe, expect, test } from "vitest";
import type { ConnectionAddresses, SocketOwners } from "../forwarding/socket-owner.ts";
import { clientProgram, hasOtherUsers, NOBODY, runAs } from "./other-user.ts";
import { connect, serveTcp } from "./tcp.ts";

/** What every source of owners must answer, whatever clients do. */
export function describeSocketOwners(name: string, make: () => SocketOwners): void {
  describe(`the owner of a connection, from ${name},`, () => {
    test.each(["127.0.0.1", "::1"])("is our own uid while a client of ours to %s is there", async (host) => {
      await using server = await serveTcp(() => {}, { host, port: 0 });
      await using owners = owned(make());
      const client = await connect({ host, port: server.port });
      const accepted = await server.first;
      const addresses = addressesOf(accepted);
      expect(await owners.ownerOf(addresses)).toBe(process.getuid?.());
      client.end();
      await once(accepted.resume(), "end");
      // Closed for writing only: still the client's.
      expect(await owners.ownerOf(addresses)).toBe(process.getuid?.());
      client.destroy();
      await once(client, "close");
      expect(await owners.ownerOf(addresses)).toBe("released");
    });

    test("is found for a client whose IPv6 socket has a mapped address", async () => {
      await using server = await serveTcp(() => {}, { host: "127.0.0.1", port: 0 });
      await using owners = owned(make());
      const client = await connect({ host: "::ffff:127.0.0.1", port: server.port });
      expect(await owners.ownerOf(addressesOf(await server.first))).toBe(process.getuid?.());
      client.destroy();
    });

    test.runIf(hasOtherUsers).each(["127.0.0.1", "::1"])("is another user's uid on %s", async (host) => {
      await using server = await serveTcp(() => {}, { host, port: 0 });
      await using owners = owned(make());
      await using client = runAs(NOBODY, clientProgram(server.port, host));
      expect(await client.line()).toBe("open");
      expect(await owners.ownerOf(addressesOf(await server.first))).toBe(NOBODY);
    });

    test("is missing once the client has reset it, and for a port that only a listener has", async () => {
      await using server = await serveTcp(() => {}, { host: "127.0.0.1", port: 0 });
      await using owners = owned(make());
      const client = await connect({ host: "127.0.0.1", port: server.port });
      const addresses = addressesOf(await server.first);
      client.resetAndDestroy();
      await once(client, "close");
      expect(await owners.ownerOf(addresses)).toBe("missing");
      expect(await owners.ownerOf({ ...addresses, remotePort: server.port })).toBe("missing");
    });

    test("is missing for addresses that are none", async () => {
      await using owners = owned(make());
      const ends = { localPort: 1, remotePort: 2 };
      const strange = { ...ends, localAddress: "localhost", remoteAddress: "" };
      expect(await owners.ownerOf(strange)).toBe("missing");
      expect(await owners.ownerOf({ ...ends, localAddress: "::1", remoteAddress: "127.0.0.1" })).toBe(
        "missing",
      );
    });

    test("is told for a thousand connections at once, each its own", async () => {
      await using server = await serveTcp(() => {}, { host: "127.0.0.1", port: 0, backlog: 2000 });
      await using owners = owned(make());
      const clients = await Promise.all(
        Array.from({ length: 1000 }, () => connect({ host: "127.0.0.1", port: server.port })),
      );
      const gone = clients.filter((_, index) => index % 10 === 0);
      const ports = clients.map((client) => (client.address() as net.AddressInfo).port);
      await Promise.all(gone.map((client) => once(client.resetAndDestroy(), "close")));
      const told = await Promise.all(
        ports.map((remotePort) =>
          owners.ownerOf({
            localAddress: "127.0.0.1",
            localPort: server.port,
            remoteAddress: "127.0.0.1",
            remotePort,
          }),
        ),
      );
      const expected = clients.map((_, index) => (index % 10 === 0 ? "missing" : process.getuid?.()));
      expect(told).toEqual(expected);
      for (const client of clients) client.destroy();
    });
  });
}

/** The two ends of an accepted socket. */
export function addressesOf(socket: net.Socket): ConnectionAddresses {
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  return { localAddress, localPort, remoteAddress, remotePort } as ConnectionAddresses;
}

function owned(owners: SocketOwners): SocketOwners & AsyncDisposable {
  return {
    ownerOf: (addresses) => owners.ownerOf(addresses),
    close: () => owners.close(),
    [Symbol.asyncDispose]: () => owners.close(),
  };
}

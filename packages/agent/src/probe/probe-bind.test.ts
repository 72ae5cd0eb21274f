import { mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { serveOnOne } from "../testing/tcp.ts";
import { probeBindAddress } from "./probe-bind.ts";

let folder: string;
const servers: net.Server[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-probe-"));
});
afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await rm(folder, { recursive: true, force: true });
});

async function listenOn(options: net.ListenOptions): Promise<number> {
  const server = net.createServer().listen(options);
  servers.push(server);
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
const inUse = {
  code: "forward.port-in-use",
  leg: "bind",
  message: expect.stringContaining(`pid ${process.pid}`),
};

describe("whether a listener could be opened", () => {
  it.each(["127.0.0.1", "0.0.0.0", "::"])("is no where somebody listens on %s", async (host) => {
    const port = await listenOn({ host, port: 0, ipv6Only: false });
    await expect(probeBindAddress({ kind: "loopback", port })).rejects.toMatchObject(inUse);
  });

  it("is no where somebody listens on ::1", async () => {
    await using server = await serveOnOne("::1");
    await expect(probeBindAddress({ kind: "loopback", port: server.port })).rejects.toMatchObject(inUse);
  });

  it("is yes on a port that nobody listens on, and nobody can connect to it meanwhile", async () => {
    const port = await listenOn({ host: "127.0.0.1", port: 0 });
    for (const server of servers.splice(0)) server.close();
    const connecting = async () => {
      const socket = net.connect(port, "127.0.0.1");
      return new Promise((resolve) =>
        socket
          .once("connect", () => resolve("connected"))
          .once("error", (error) => resolve((error as NodeJS.ErrnoException).code)),
      );
    };
    const [outcome, ...attempts] = await Promise.all([
      probeBindAddress({ kind: "loopback", port }),
      ...Array.from({ length: 20 }, connecting),
    ]);
    expect(outcome).toBeUndefined();
    expect(new Set(attempts)).toEqual(new Set(["ECONNREFUSED"]));
    await expect(probeBindAddress({ kind: "loopback", port: 0 })).resolves.toBeUndefined();
  });

  it("is no for an address that this host has not, and for another one's port only there", async () => {
    await expect(probeBindAddress({ kind: "tcp", address: "192.0.2.7", port: 4444 })).rejects.toMatchObject({
      code: "forward.bind-refused",
      message: expect.stringContaining("no such address"),
    });
    const port = await listenOn({ host: "127.0.0.2", port: 0 });
    await expect(probeBindAddress({ kind: "loopback", port })).resolves.toBeUndefined();
    await expect(probeBindAddress({ kind: "tcp", address: "127.0.0.2", port })).rejects.toMatchObject(inUse);
  });

  it("is no at a path where something is, in a folder that is none, and yes else, leaving nothing", async () => {
    const path = join(folder, "sock");
    const probe = (to: string) => probeBindAddress({ kind: "unix", path: to });
    await expect(probe(path)).resolves.toBeUndefined();
    expect(await readdir(folder)).toEqual([]);
    await symlink("/nowhere", path);
    await expect(probe(path)).rejects.toMatchObject({ code: "forward.port-in-use" });
    await expect(probe(join(folder, "none/sock"))).rejects.toMatchObject({ code: "forward.bind-refused" });
    await expect(probe("relative")).rejects.toMatchObject({ code: "forward.bind-refused" });
    await listenOn({ path: join(folder, "held") });
    await expect(probe(join(folder, "held"))).rejects.toMatchObject(inUse);
  });
});

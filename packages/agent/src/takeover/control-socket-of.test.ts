import { mkdir, mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { controlSocketOf } from "./control-socket-of.ts";

let folder: string;
const servers: net.Server[] = [];
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "fs-control-"));
});
afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await rm(folder, { recursive: true, force: true });
});

async function listenAt(name: string): Promise<string> {
  const file = path.join(folder, name);
  await mkdir(path.dirname(file), { recursive: true });
  const server = net.createServer();
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(file, resolve));
  return file;
}

describe("the control socket of a process", () => {
  test("is none of its other sockets, wherever they are", async () => {
    await listenAt("elsewhere/build.sock");
    await listenAt("farside-x/build.sock");
    await listenAt("not-farside/build.sock");
    await listenAt("farside/build.socket");
    expect(await controlSocketOf(process.pid)).toBeUndefined();
  });

  test.each(["farside", "farside-1000", "run"])(
    "is that in a folder for control sockets: %s",
    async (place) => {
      await listenAt("elsewhere/other.sock");
      const file = await listenAt(`${place}/build-7.sock`);
      expect(await controlSocketOf(process.pid)).toEqual({ path: file, of: "build-7" });
    },
  );

  test("is none where the process is gone", async () => {
    await listenAt("farside/build.sock");
    expect(await controlSocketOf(2 ** 22 + 1)).toBeUndefined();
  });
});

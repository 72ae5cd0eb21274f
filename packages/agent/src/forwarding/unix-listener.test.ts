import { once } from "node:events";
import { existsSync } from "node:fs";
import { lstat, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect } from "../testing/tcp.ts";
import type { ListenerOptions } from "./listener.ts";
import { openUnixListener } from "./unix-listener.ts";

const unwatched: ListenerOptions = { onConnection: (socket) => socket.destroy(), onError: () => {} };
let folder: string;
let file: string;
const bind = () => ({ kind: "unix", path: file }) as const;

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "farside-agent-"));
  file = path.join(folder, "service.sock");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("a listener on a unix socket", () => {
  test("is a socket of mode 0600 whatever the umask, and leaves the umask alone", async () => {
    const umask = process.umask(0);
    try {
      await using listener = await openUnixListener(bind(), unwatched);
      expect((await lstat(file)).mode & 0o7777).toBe(0o600);
      expect(listener.bound).toEqual([bind()]);
      expect(process.umask()).toBe(0);
    } finally {
      process.umask(umask);
    }
  });

  test("hands on paused connections and removes the socket at its close", async () => {
    const accepted: [net.Socket, string][] = [];
    const onConnection = (socket: net.Socket, peer: string) => accepted.push([socket, peer]);
    const listener = await openUnixListener(bind(), { onConnection, onError: () => {} });
    const client = await connect({ path: file });
    await expect.poll(() => accepted.length).toBe(1);
    expect(accepted[0]?.[1]).toBe("unix");
    await Promise.all([listener.close(), listener.close()]);
    await listener[Symbol.asyncDispose]();
    expect(existsSync(file)).toBe(false);
    client.destroy();
    accepted[0]?.[0].destroy();
  });

  test("names who listens on the path already, and touches nothing", async () => {
    await using _holder = await openUnixListener(bind(), unwatched);
    const { ino } = await lstat(file);
    await expect(openUnixListener(bind(), unwatched)).rejects.toMatchObject({
      code: "forward.port-in-use",
      leg: "bind",
      message: expect.stringMatching(new RegExp(`pid ${process.pid} \\(.+\\) listens on it$`)),
    });
    expect((await lstat(file)).ino).toBe(ino);
  });

  test("is refused where a file or a socket without a listener is, and leaves it there", async () => {
    await writeFile(file, "precious");
    await expect(openUnixListener(bind(), unwatched)).rejects.toMatchObject({
      code: "forward.port-in-use",
      hint: expect.stringContaining("no socket"),
    });
    expect(existsSync(file)).toBe(true);
  });

  test("leaves a socket alone that somebody else has put at its path", async () => {
    const listener = await openUnixListener(bind(), unwatched);
    await rename(file, `${file}.moved`);
    const theirs = net.createServer().listen(file);
    await once(theirs, "listening");
    await listener.close();
    expect(existsSync(file)).toBe(true);
    const client = await connect({ path: file });
    client.destroy();
    theirs.close();
  });

  test.each([
    ["a relative path", () => "service.sock"],
    ["a path that is too long", () => `/${"x".repeat(200)}`],
    ["a folder that is not there", () => path.join(folder, "no", "such.sock")],
  ])("is refused for %s", async (_what, pathOf) => {
    await expect(openUnixListener({ kind: "unix", path: pathOf() }, unwatched)).rejects.toMatchObject({
      code: "forward.bind-refused",
      leg: "bind",
    });
  });
});

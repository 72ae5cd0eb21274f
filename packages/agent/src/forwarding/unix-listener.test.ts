import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { lstat, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect, readAll } from "../testing/tcp.ts";
import type { ListenerOptions } from "./listener.ts";
import { holderOfUnixSocket } from "./socket-holder.ts";
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

/** A process that listens on a socket of ours, and says so to each client. */
async function inheritor(fd: number): Promise<ChildProcess> {
  const script = `require("net").createServer((s) => s.end("inherited")).listen({ fd: 3 }, () => console.log("up"))`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit", fd] });
  if (child.stdout !== null) await once(child.stdout, "data");
  return child;
}

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

  test("that was opened to be handed on goes to another without its path being missing for a moment", async () => {
    const first = await openUnixListener(bind(), { ...unwatched, isHandedOn: true });
    expect(await readdir(folder)).toEqual(["service.sock"]);
    const before = await lstat(file, { bigint: true });
    expect(before.mode & 0o7777n).toBe(0o600n);
    expect(await holderOfUnixSocket(file)).toContain(`pid ${process.pid} `);
    const second = await inheritor(first.descriptors[0] ?? -1);
    await first.release();
    // A socket that was renamed has another ctime.
    expect(await lstat(file, { bigint: true })).toMatchObject({ ino: before.ino, ctimeNs: before.ctimeNs });
    const client = await connect({ path: file });
    client.end();
    expect((await readAll(client)).toString()).toBe("inherited");
    second.kill();
    await once(second, "exit");
  });

  test("that was opened to be handed on may be one of several in a folder, opened at once", async () => {
    const files = ["a", "b", "c"].map((name) => path.join(folder, name));
    const listeners = await Promise.all(
      files.map((each) => openUnixListener({ kind: "unix", path: each }, { ...unwatched, isHandedOn: true })),
    );
    expect((await readdir(folder)).sort()).toEqual(["a", "b", "c"]);
    const times = () => Promise.all(files.map(async (each) => (await lstat(each, { bigint: true })).ctimeNs));
    const before = await times();
    for (const listener of listeners) await listener.release();
    expect(await times()).toEqual(before);
  });

  test("that was opened to be handed on removes its socket at its close, unless somebody else's is there", async () => {
    const handedOn = { ...unwatched, isHandedOn: true };
    await (await openUnixListener(bind(), handedOn)).close();
    expect(await readdir(folder)).toEqual([]);
    const listener = await openUnixListener(bind(), handedOn);
    await expect(openUnixListener(bind(), handedOn)).rejects.toMatchObject({ code: "forward.port-in-use" });
    await rm(file);
    await using _theirs = await openUnixListener(bind(), unwatched);
    await listener.close();
    expect(existsSync(file)).toBe(true);
  });

  test.each(["close", "release"] as const)(
    "that was opened to be handed on has nothing elsewhere unlinked at its %s, where somebody has put a link in the detour's place",
    async (end) => {
      const listener = await openUnixListener(bind(), { ...unwatched, isHandedOn: true });
      const elsewhere = path.join(folder, "elsewhere", "inner");
      await mkdir(elsewhere, { recursive: true });
      const namesake = path.join(folder, "elsewhere", path.basename(file));
      await writeFile(namesake, "of another service");
      await symlink(elsewhere, path.join(folder, ".farside"));
      await listener[end]();
      expect(existsSync(namesake)).toBe(true);
      expect(existsSync(file)).toBe(end === "release");
      expect((await lstat(path.join(folder, ".farside"))).isSymbolicLink()).toBe(true);
    },
  );

  test("that was opened to be handed on leaves nothing of its closing behind", async () => {
    for (const end of ["close", "release"] as const) {
      const listener = await openUnixListener(bind(), { ...unwatched, isHandedOn: true });
      await listener[end]();
      expect(await readdir(folder)).toEqual(end === "close" ? [] : ["service.sock"]);
    }
  });

  test("whose path leaves no room for more, or whose folder has one of the detour's name, is handed on all the same", async () => {
    const long = path.join(folder, "x".repeat(100 - folder.length));
    await mkdir(path.join(folder, ".farside"));
    for (const at of [long, file]) {
      const listener = await openUnixListener({ kind: "unix", path: at }, { ...unwatched, isHandedOn: true });
      await listener.release();
      expect(existsSync(at)).toBe(true);
    }
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

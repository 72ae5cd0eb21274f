import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, type Socket } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { newNonce, RUN_VARIABLE } from "./bootstrap.ts";
import {
  EVERY_RUN,
  EVERY_SESSION,
  type LookMode,
  lookForLeftovers,
  parseLook,
  type Traces,
} from "./leftovers.ts";
import { LOOK_TIMEOUT_MS } from "./receipt.ts";
import { HOLD, LocalHost, listen } from "./testing/local-host.ts";

let home: string;
let host: LocalHost;
beforeEach(async () => {
  host = await LocalHost.create();
  home = host.home;
});
afterEach(() => host[Symbol.asyncDispose]());

const here: LocalHost["hop"] = (...shells) => host.hop(...shells);
const start: LocalHost["start"] = (...command) => host.start(...command);

const look = (traces: Partial<Traces> = {}, mode: LookMode = "look", hop = here(), withinMs = 60_000) =>
  lookForLeftovers(
    hop,
    { nonce: newNonce(), ports: [], sockets: [], ...traces },
    mode,
    AbortSignal.timeout(withinMs),
  );

const nothing = { processes: [], listeners: [], files: [] };

/** As many connections to a port of this host, two rows each in its table; a hundred at a time, for the listener's queue. */
async function connectMany(port: number, count: number): Promise<Socket[]> {
  const clients: Socket[] = [];
  while (clients.length < count) {
    const some = Array.from({ length: 100 }, () => connect(port, "127.0.0.1"));
    clients.push(...some);
    await Promise.all(some.map((client) => once(client, "connect")));
  }
  return clients;
}

it("has the mark of no agent in its own command line, or a look for all would end itself", async () => {
  let asked = "";
  const exec = async (command: string) => {
    asked = command;
    throw new Error("enough");
  };
  const traces = { nonce: EVERY_RUN, ports: [1], sockets: ["/x"], controls: [EVERY_SESSION] };
  const look = lookForLeftovers({ exec }, traces, "kill", AbortSignal.timeout(60_000));
  await expect(look).rejects.toThrow("enough");
  expect(asked).toContain("farside-look:");
  expect(asked).not.toContain(EVERY_RUN);
});

describe("the look at a host", () => {
  it.each(["/bin/sh", "/bin/bash", "/usr/bin/zsh", "/usr/bin/fish", "/usr/bin/tcsh", "/usr/bin/ksh"])(
    "finds nothing, not even itself, through the login shell %s",
    async (shell) => {
      expect(
        await look({ ports: [4444, 80], sockets: ["/nonexistent/a b'\"\\c!.sock"] }, "look", here(shell)),
      ).toEqual(nothing);
    },
  );

  it("finds a process by its command line and its children by their environment", async () => {
    const nonce = newNonce();
    const byLine = await start(process.execPath, ["-e", HOLD, nonce]);
    const byEnvironment = await start(process.execPath, ["-e", HOLD], { [RUN_VARIABLE]: nonce });
    await start(process.execPath, ["-e", HOLD, newNonce()]);
    const { processes } = await look({ nonce });
    expect(new Set(processes)).toEqual(
      new Set([byLine, byEnvironment].map(({ pid }) => `process ${pid} node`)),
    );
  });

  it("ends and kills what it finds when it is told to", async () => {
    const nonce = newNonce();
    const stubborn = await start(process.execPath, ["-e", `process.on("SIGTERM", () => {}); ${HOLD}`, nonce]);
    const willing = await start(process.execPath, ["-e", HOLD, nonce]);
    const ended = once(willing, "exit");
    expect((await look({ nonce }, "end")).processes.length).toBe(2);
    expect(await ended).toEqual([null, "SIGTERM"]);
    const killed = once(stubborn, "exit");
    expect((await look({ nonce }, "kill")).processes).toEqual([`process ${stubborn.pid} node`]);
    expect(await killed).toEqual([null, "SIGKILL"]);
  });

  it("finds listeners on the ports, of both families, and no others", async () => {
    const servers = [await listen("127.0.0.1"), await listen("::1"), await listen("127.0.0.1")];
    const ports = servers.map((server) => (server.address() as AddressInfo).port);
    const { listeners } = await look({ ports: ports.slice(0, 2) });
    for (const server of servers) server.close();
    expect(listeners).toEqual([`127.0.0.1:${ports[0]}`, `[::1]:${ports[1]}`]);
  });

  it.each(["/bin/sh", "/bin/bash"])(
    "leaves the port and the socket of an agent that took them over to that one: %s",
    async (sh) => {
      const nonce = newNonce();
      const listener = (path: string) => [
        "-e",
        `const net = require("net"); net.createServer().listen("${home}/${path}");
      const server = net.createServer().listen(0, "127.0.0.1", () => console.log(server.address().port));`,
      ];
      const ofRun = async (path: string, run: string) => {
        const { said } = await host.startAndHear(process.execPath, listener(path), { [RUN_VARIABLE]: run });
        return Number(said);
      };
      const [ours, theirs] = [await ofRun("ours", nonce), await ofRun("theirs", newNonce())];
      const sockets = ["ours", "theirs"].map((name) => join(home, name));
      const found = await look({ nonce, ports: [ours, theirs], sockets }, "look", here(sh, [sh]));
      expect(found).toMatchObject({ listeners: [`127.0.0.1:${ours}`], files: [join(home, "ours")] });
      expect(found.processes).toHaveLength(1);
    },
  );

  it("is over in time on a host with thousands of connections, whatever its /bin/sh is", async () => {
    const server = await listen("127.0.0.1");
    const { port } = server.address() as AddressInfo;
    const clients = await connectMany(port, 1_200);
    const shells = [
      ["dash"],
      ["bash"],
      ["busybox", "sh"],
      ["ksh93"],
      ["mksh"],
      ["yash"],
      ["zsh", "--emulate", "sh"],
    ];
    try {
      for (const shell of shells.filter(([name]) => existsSync(`/bin/${name}`))) {
        const hop = here("/bin/sh", [`/bin/${shell.join(" ")}`]);
        const { listeners } = await look({ ports: [1, port] }, "look", hop, LOOK_TIMEOUT_MS);
        expect(listeners, shell[0]).toEqual([`127.0.0.1:${port}`]);
      }
    } finally {
      for (const client of clients) client.destroy();
      server.close();
    }
  });

  it("finds sockets with any name, also one that is a dangling link", async () => {
    const name = "a b'\"\\c!$x.sock";
    const server = await listen({ path: join(home, name) });
    await symlink("/nonexistent", join(home, "link"));
    const { files } = await look({ sockets: [join(home, name), name, join(home, "other"), "link"] });
    server.close();
    expect(files).toEqual([join(home, name), name, "link"]);
  });

  it("finds a runtime that was on its way, kept or not, and removes it in the end", async () => {
    const nonce = newNonce();
    const [session, kept] = [
      join(home, `.farside-${nonce}`),
      join(home, `.farside-runtime-${userInfo().uid}`),
    ];
    for (const folder of [session, kept]) await mkdir(folder, { mode: 0o700 });
    const [unfinished, other] = [join(kept, `new-${nonce}`), join(kept, "node-00")];
    for (const file of [join(session, "node"), unfinished, other]) await writeFile(file, "");
    expect((await look({ nonce })).files).toEqual([]);
    expect((await look({ nonce, mayHaveRuntime: true })).files).toEqual([session, unfinished]);
    expect((await look({ nonce, mayHaveRuntime: true }, "kill")).files).toEqual([]);
    expect(await readdir(home)).toEqual([`.farside-runtime-${userInfo().uid}`]);
    // That one is kept on purpose.
    expect(await readdir(kept)).toEqual(["node-00"]);
  });

  it("finds the control socket of an agent that outlived its connection", async () => {
    const folder = join(home, ".local/state/farside/run");
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const server = await listen({ path: join(folder, "s.sock") });
    for (const name of ["s.log", "s.log.1", "other.log"]) await writeFile(join(folder, name), "");
    const all = ["s.sock", "s.log", "s.log.1"].map((name) => join(folder, name));
    expect((await look({ controls: ["s"] })).files).toEqual(all);
    // A log goes with its socket.
    expect((await look({ controls: ["s"] }, "kill")).files).toEqual(all);
    server.close();
    await once(server, "close");
    expect((await look({ controls: ["s"] }, "kill")).files).toEqual([]);
    expect(await readdir(folder)).toEqual(["other.log"]);
  });

  it("removes nothing through a link that somebody has put in the place of the folder of control sockets", async () => {
    const precious = join(home, "precious");
    await mkdir(precious);
    for (const name of ["a.log", "a.log.1", "b.log"]) await writeFile(join(precious, name), "precious");
    const folder = join(home, ".local/state/farside/run");
    await mkdir(join(folder, ".."), { recursive: true });
    await symlink(precious, folder);
    for (const mode of ["look", "kill"] as const)
      expect((await look({ controls: ["a", "b"] }, mode)).files).toEqual([]);
    expect(await readdir(precious)).toEqual(["a.log", "a.log.1", "b.log"]);
  });

  it("removes a socket that nobody listens on, and keeps one that somebody does", async () => {
    const dead = await start(process.execPath, [
      "-e",
      `require("net").createServer().listen("${home}/dead"); ${HOLD}`,
    ]);
    const gone = once(dead, "exit");
    dead.kill("SIGKILL");
    await gone;
    const live = await listen({ path: join(home, "live") });
    // As an installed agent binds its own; see detour.ts of the agent.
    await mkdir(join(home, ".farside"));
    const handed = await listen({ path: `${home}/.farside/../handed` });
    await rm(join(home, ".farside"), { recursive: true });
    const sockets = ["dead", "live", "handed"].map((name) => join(home, name));
    const { files } = await look({ sockets }, "kill");
    expect(files).toEqual([join(home, "live"), join(home, "handed")]);
    expect((await readdir(home)).sort()).toEqual(["handed", "live"]);
    live.close();
    handed.close();
  });

  it("does not take a broken look for a clean host", () => {
    const mark = newNonce();
    const [begin, end] = [`farside-look:${mark}:begin\n`, `farside-look:${mark}:end\n`];
    expect(parseLook(`motd${begin}${end}bye`, mark, [])).toEqual(nothing);
    for (const output of [
      "",
      begin,
      end,
      end + begin,
      `${begin}${mark} unknown processes\n${end}`,
      `${begin}${mark} something else\n${end}`,
    ]) {
      expect(() => parseLook(output, mark, [])).toThrow(/looking for what is left/);
    }
    expect(
      parseLook(`${begin}late news${mark} process 1 \u001b[2Jx\nlate\n${end}`, mark, []).processes,
    ).toEqual(["process 1 \\x1b[2Jx"]);
  });
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import net from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clientProgram, hasOtherUsers, NOBODY, runAs } from "../testing/other-user.ts";
import { connect } from "../testing/tcp.ts";
import { type Admit, admitByUid, isLoopbackAddress } from "./admission.ts";
import { PeerUidLookup } from "./peer-uid.ts";
import { SockDiagOwners } from "./sock-diag-owners.ts";

const self = process.getuid?.() ?? 0;

type Source = "/proc" | "sock_diag";
const sources: readonly Source[] = existsSync("/usr/bin/perl") ? ["/proc", "sock_diag"] : ["/proc"];
const lookups = {
  "/proc": new PeerUidLookup(),
  sock_diag: new PeerUidLookup({ tables: new SockDiagOwners({ environment: {}, answerTimeoutMs: 30_000 }) }),
};
afterAll(async () => {
  await Promise.all([lookups["/proc"].close(), lookups.sock_diag.close()]);
});

let source: Source = "/proc";

function admitting(uids: readonly number[], allowAnyUser = false): Admit {
  return admitByUid({
    allowedUids: new Set(uids),
    allowAnyUser,
    lookup: lookups[source],
    nameOf: async (uid) => `name-of-${uid}`,
  });
}

/** A listener as a forward has it: what it accepts is paused. */
async function listening(host = "127.0.0.1") {
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
  const waiting: net.Socket[] = [];
  let wake = () => {};
  server.on("connection", (socket) => {
    waiting.push(socket.on("error", () => {}));
    wake();
  });
  server.listen(0, host);
  await once(server, "listening");
  return {
    port: (server.address() as net.AddressInfo).port,
    async accept(): Promise<net.Socket> {
      while (waiting.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return waiting.shift() as net.Socket;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of waiting) socket.destroy();
      server.close();
    },
  };
}

describe.each(sources)("the admission to a loopback listener, by %s,", (given) => {
  beforeAll(() => {
    source = given;
  });

  test("lets a user in who is allowed, and says who it is", async () => {
    await using listener = await listening();
    const client = await connect({ host: "127.0.0.1", port: listener.port });
    using accepted = disposable(await listener.accept());
    expect(await admitting([self])(accepted.socket)).toEqual({ isAdmitted: true, uid: self });
    client.destroy();
  });

  test.runIf(hasOtherUsers).each(["127.0.0.1", "::1"])(
    "refuses another user on %s and names the option that would admit them",
    async (host) => {
      await using listener = await listening(host);
      await using client = runAs(NOBODY, clientProgram(listener.port, host));
      expect(await client.line()).toBe("open");
      using accepted = disposable(await listener.accept());
      const decision = await admitting([self])(accepted.socket);
      expect(decision).toMatchObject({ isAdmitted: false, uid: NOBODY, reason: "other-user" });
      expect(decision).toMatchObject({ hint: expect.stringContaining(`--allow-user name-of-${NOBODY}`) });
      expect(decision).toMatchObject({ hint: expect.stringContaining("--allow-any-user") });
    },
  );

  test.runIf(hasOtherUsers)("lets another user in who is named, or where all are", async () => {
    await using listener = await listening();
    await using client = runAs(NOBODY, clientProgram(listener.port));
    expect(await client.line()).toBe("open");
    using accepted = disposable(await listener.accept());
    expect(await admitting([self, NOBODY])(accepted.socket)).toEqual({ isAdmitted: true, uid: NOBODY });
    expect(await admitting([self], true)(accepted.socket)).toEqual({ isAdmitted: true, uid: -1 });
  });

  test.runIf(hasOtherUsers).each([self, NOBODY])(
    "refuses a client of uid %i that connects, writes and closes at once",
    async (uid) => {
      await using listener = await listening();
      const program = `const s = require("net").connect(${listener.port}, "127.0.0.1", () => s.end("rm -rf", () => process.exit()));`;
      const child = spawn(process.execPath, ["-e", program], { uid, gid: uid, cwd: "/", env: {} });
      using accepted = disposable(await listener.accept());
      if (child.exitCode === null) await once(child, "exit");
      const decision = await admitting([self])(accepted.socket);
      expect(decision).toMatchObject({ isAdmitted: false, uid: -1, reason: "unknown-user" });
      expect(decision).toMatchObject({ hint: expect.stringContaining("--allow-any-user") });
    },
  );

  test("refuses a connection that was reset, though its addresses now belong to a user who is allowed", async () => {
    await using listener = await listening();
    const localAddress = "127.0.0.1";
    const first = await connect({ host: localAddress, port: listener.port, localAddress, localPort: 0 });
    const { port: localPort } = first.address() as net.AddressInfo;
    using accepted = disposable(await listener.accept());
    // Node asks the kernel for the addresses when they are first wanted: as the agent does for each connection.
    expect(accepted.socket.remotePort).toBe(localPort);
    first.write("bytes of the one who reset");
    first.resetAndDestroy();
    await once(first, "close");
    const second = await connect({ host: localAddress, port: listener.port, localAddress, localPort });
    using other = disposable(await listener.accept());
    expect(await admitting([self])(accepted.socket)).toMatchObject({
      isAdmitted: false,
      reason: "unknown-user",
    });
    expect(await admitting([self])(other.socket)).toMatchObject({ isAdmitted: true });
    second.destroy();
  });
});

test("loopback addresses are 127.0.0.0/8 and ::1", () => {
  const all = [
    "127.0.0.1",
    "127.3.2.1",
    "::1",
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "127.0.0.1.example",
    "::ffff:127.0.0.1",
  ];
  expect(all.filter(isLoopbackAddress)).toEqual(["127.0.0.1", "127.3.2.1", "::1"]);
});

function disposable(socket: net.Socket): Disposable & { socket: net.Socket } {
  return { socket, [Symbol.dispose]: () => void socket.destroy() };
}

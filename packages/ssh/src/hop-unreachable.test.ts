import { CodedError } from "@farside/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { Hop } from "./hop.ts";
import type { HopOptions } from "./hop-options.ts";
import { failureOf } from "./testing/failure-of.ts";
import { hopOptionsFor } from "./testing/hop-options-for.ts";
import { rejectedBy } from "./testing/silent-identity.ts";
import { type Sshd, startSshd } from "./testing/sshd.ts";
import { tcpServer } from "./testing/tcp-server.ts";

let sshd: Sshd;

beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
});

afterEach(() => void vi.useRealTimers());

const attempt = async (overrides: Partial<HopOptions>, at: Sshd = sshd) =>
  failureOf(Hop.connect(await hopOptionsFor(at, overrides)));

describe("a host that can't be reached", () => {
  test("refuses: hop.unreachable, and says so", async () => {
    const server = await tcpServer(() => {});
    await server[Symbol.asyncDispose]();
    const error = await attempt({ port: server.port, leg: "hop" });
    expect(error).toMatchObject({
      code: "hop.unreachable",
      leg: "hop",
      hint: "Is sshd running on that host and port?",
    });
    expect(error.message).toBe(
      `connecting to ${sshd.user}@127.0.0.1 port ${server.port}: the connection was refused`,
    );
  });

  test("has no address: hop.unreachable, and says so", async () => {
    const error = await attempt({ host: "nowhere.invalid", port: 22 });
    expect(error.code).toBe("hop.unreachable");
    expect(error.message).toMatch(/nowhere\.invalid: the name (?:is not known|service does not answer)$/u);
  });

  test("swallows packets: hop.unreachable after the connect deadline", async () => {
    const error = await attempt({ connectTimeoutMs: 40, dial: (signal) => rejectedBy(signal) });
    expect(error).toMatchObject({ code: "hop.unreachable", leg: "jump" });
    expect(error.message).toContain("no answer within 0.04 s");
  });

  test("is given up when the signal aborts, with its reason", async () => {
    const controller = new AbortController();
    const reason = new CodedError("canceled", "stopped");
    const failure = attempt({ signal: controller.signal, dial: (signal) => rejectedBy(signal) });
    controller.abort(reason);
    expect(await failure).toBe(reason);
    expect(await attempt({ signal: controller.signal })).toBe(reason);
  });
});

describe("a host that does not get through the handshake", () => {
  test("says nothing: hop.unreachable, and the socket is closed", async () => {
    await using server = await tcpServer((socket) => socket.resume());
    const error = await attempt({ port: server.port, handshakeTimeoutMs: 60 });
    expect(error).toMatchObject({ code: "hop.unreachable" });
    expect(error.message).toContain("no SSH identification within 0.06 s");
    await expect.poll(() => [...server.sockets].every((socket) => socket.readableEnded)).toBe(true);
  });

  test("hangs up before it identifies itself: hop.unreachable", async () => {
    await using server = await tcpServer((socket) => socket.end());
    const error = await attempt({ port: server.port });
    expect(error).toMatchObject({ code: "hop.unreachable" });
    expect(error.message).toContain("the host closed the connection before it identified itself");
  });

  test("says why it takes nobody before it hangs up: quoted in hop.unreachable", async () => {
    await using server = await tcpServer((socket) => socket.end("Exceeded MaxStartups\u001b[2J\r\n"));
    const error = await attempt({ port: server.port });
    expect(error).toMatchObject({ code: "hop.unreachable" });
    expect(error.message).toContain('("Exceeded MaxStartups\\x1b[2J")');
  });

  test("resets the connection before it identifies itself: hop.unreachable", async () => {
    await using server = await tcpServer((socket) => socket.resetAndDestroy());
    expect(await attempt({ port: server.port })).toMatchObject({ code: "hop.unreachable" });
  });

  test("is no SSH server: hop.handshake-failed or hop.unreachable, never a bug", async () => {
    await using server = await tcpServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    expect(await attempt({ port: server.port })).toMatchObject({ code: "hop.unreachable" });
  });

  test("greets without end: refused after 16 KiB", async () => {
    await using server = await tcpServer((socket) => {
      const line = `${"x".repeat(1000)}\r\n`;
      const flood = () => {
        while (!socket.destroyed && socket.write(line));
      };
      socket.on("drain", flood);
      flood();
    });
    const error = await attempt({ port: server.port });
    expect(error).toMatchObject({ code: "hop.handshake-failed", leg: "jump" });
    expect(error.message).toContain("more than 16384 bytes before its identification");
  });

  test("hangs after its identification: timeout", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    await using server = await tcpServer((socket) => {
      socket.write("SSH-2.0-Hang\r\n");
      let heard = "";
      socket.on("data", (chunk: Buffer) => {
        heard += chunk.toString("latin1");
        // Behind its own line it speaks to a host that has identified itself.
        if (!/^SSH-[^\n]*\n$/.test(heard)) vi.advanceTimersByTime(60);
      });
    });
    const error = await attempt({ port: server.port, handshakeTimeoutMs: 60 });
    expect(error).toMatchObject({ code: "timeout", leg: "jump" });
    vi.useRealTimers();
    await expect.poll(() => [...server.sockets].every((socket) => socket.readableEnded)).toBe(true);
  });

  test.each([
    ["a packet that is too long", Buffer.from([0xff, 0xff, 0xff, 0xff, 4, 20])],
    ["noise", Buffer.from("\0\0\0\u000c\u0004\u0014garbage....", "latin1")],
  ])("sends %s after its identification: hop.handshake-failed", async (_what, bytes) => {
    await using server = await tcpServer((socket) => {
      socket.write("SSH-2.0-Odd\r\n");
      socket.write(bytes);
      socket.resume();
    });
    expect(await attempt({ port: server.port, handshakeTimeoutMs: 5000 })).toMatchObject({
      code: "hop.handshake-failed",
    });
  });

  test.each([
    [
      "KexAlgorithms sntrup761x25519-sha512@openssh.com",
      "key exchange",
      "sntrup761x25519-sha512@openssh.com",
      /post-quantum/u,
    ],
    // Whose prime it chooses: each would have to be tested, for up to a minute.
    [
      "KexAlgorithms diffie-hellman-group-exchange-sha256",
      "key exchange",
      "diffie-hellman-group-exchange-sha256",
      /^Allow a modern key exchange/u,
    ],
    ["HostKeyAlgorithms ssh-rsa", "host key type", "ssh-rsa", /host key type/u],
    ["Ciphers aes128-cbc", "cipher", "aes128-cbc", /cipher/u],
  ])("speaks only %s: named in hop.handshake-failed", async (line, what, offered, hint) => {
    await using odd = await startSshd({ config: [line], hostKeys: ["rsa-2048"] });
    const error = await attempt({}, odd);
    expect(error).toMatchObject({ code: "hop.handshake-failed", leg: "jump" });
    expect(error.message).toContain(`no common ${what}; the host offers ${offered}`);
    expect(error.hint).toMatch(hint);
  });

  test("configuration that allows nothing we speak is config.invalid", async () => {
    expect(await attempt({ algorithms: { ciphers: ["3des-cbc"] } })).toMatchObject({
      code: "config.invalid",
    });
  });
});

import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { CodedError } from "@farside/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fingerprint } from "./fingerprint.ts";
import { Hop } from "./hop.ts";
import type { HopOptions } from "./hop-options.ts";
import type { Identity } from "./identity.ts";
import { KeyFileIdentity } from "./key-file-identity.ts";
import { PinnedHostKeys } from "./pinned-host-keys.ts";
import { failureOf } from "./testing/failure-of.ts";
import { hopOptionsFor } from "./testing/hop-options-for.ts";
import { type KeyPair, makeKeyPair } from "./testing/key-pair.ts";
import {
  anyHostKey,
  letAnybodyIn,
  rekeyWithOtherHostKey,
  type Ssh2Server,
  sendPayload,
  ssh2Server,
} from "./testing/ssh2-server.ts";
import { type Sshd, startSshd } from "./testing/sshd.ts";
import { tcpServer } from "./testing/tcp-server.ts";
import { encodeString, encodeUint32 } from "./wire.ts";

/** RFC 4250, 4.1.2. */
const userauthSuccess = 52;
const userauthBanner = 53;
const channelData = 94;

let sshd: Sshd;
let otherKey: KeyPair;

beforeAll(async () => {
  sshd = await startSshd();
  otherKey = await makeKeyPair(sshd.folder.file("other"));
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
});

const connect = (options: HopOptions) => failureOf(Hop.connect(options));
const attempt = async (overrides: Partial<HopOptions>, at: Sshd = sshd) =>
  connect(await hopOptionsFor(at, overrides));

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
    await using server = await tcpServer((socket) => {
      socket.write("SSH-2.0-Hang\r\n");
      socket.resume();
    });
    const error = await attempt({ port: server.port, handshakeTimeoutMs: 60 });
    expect(error).toMatchObject({ code: "timeout", leg: "jump" });
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

describe("a host key that is not accepted", () => {
  test("ends the connection with the verifier's error, before the identity is asked for anything", async () => {
    const identity = silentIdentity();
    const hostKeys = new PinnedHostKeys([otherKey.publicKey.blob]);
    const error = await attempt({ hostKeys, identity, leg: "hop" });
    expect(error).toMatchObject({ code: "host-key.changed", leg: "hop" });
    expect(error.message).toContain(fingerprint(sshd.hostKeys[0]?.publicKey.blob ?? new Uint8Array()));
    expect(identity.calls).toEqual([]);
  });

  test("waits for an operator longer than for the host", async () => {
    const { hostKeys } = await hopOptionsFor(sshd);
    const slow: HopOptions["hostKeys"] = {
      keyTypes: () => [],
      verify: async (...args) => {
        await new Promise((resolve) => setTimeout(resolve, 600));
        await hostKeys.verify(...args);
      },
    };
    await using hop = await Hop.connect(
      await hopOptionsFor(sshd, { hostKeys: slow, handshakeTimeoutMs: 500 }),
    );
    expect(hop.serverHostKey.length).toBeGreaterThan(0);
  });
});

test("a host that shows another key in a later key exchange loses the connection", async () => {
  await using fickle = await ssh2Server((connection) => {
    connection.on("authentication", letAnybodyIn);
    connection.on("ready", () => rekeyWithOtherHostKey(connection));
  });
  const identity = silentIdentity([sshd.userKey]);
  await using hop = await Hop.connect(
    await hopOptionsFor(sshd, { port: fickle.port, hostKeys: anyHostKey, identity }),
  );
  expect(await hop.closed).toMatchObject({ code: "host-key.changed", leg: "jump" });
});

describe("a login that is refused", () => {
  test("lists the keys that were offered and the methods that are left", async () => {
    const identity = await KeyFileIdentity.open({ files: [otherKey.path] });
    const error = await attempt({ identity });
    expect(error).toMatchObject({ code: "hop.auth-refused", leg: "jump" });
    expect(error.message).toContain(fingerprint(otherKey.publicKey.blob));
    expect(error.message).toContain("the host accepts: publickey");
  });

  test("as for a wrong user", async () => {
    const error = await attempt({ user: "nosuchuser" });
    expect(error).toMatchObject({ code: "hop.auth-refused" });
    expect(error.message).toContain("logging in to nosuchuser@");
  });

  test("by a host that hangs up after too many keys is hop.auth-refused too", async () => {
    await using strict = await startSshd({ config: ["MaxAuthTries 2"] });
    const files = await Promise.all([1, 2, 3].map((n) => makeKeyPair(strict.folder.file(`spare-${n}`))));
    const identity = await KeyFileIdentity.open({ files: files.map(({ path }) => path) });
    const error = await attempt({ identity }, strict);
    expect(error).toMatchObject({ code: "hop.auth-refused" });
    expect(error.message).toContain("Too many authentication failures");
  });

  test("without any key is identity.none", async () => {
    const identity = await KeyFileIdentity.open({ files: [] });
    expect(await attempt({ identity })).toMatchObject({ code: "identity.none" });
  });

  test("tries a second key after the first was refused", async () => {
    const identity = await KeyFileIdentity.open({ files: [otherKey.path, sshd.userKey.path] });
    await using hop = await Hop.connect(await hopOptionsFor(sshd, { identity, requireSignature: true }));
    expect(hop.name).toContain("127.0.0.1");
  });

  test("because the identity would not sign keeps the identity's error and offers no other key", async () => {
    const wrongPin = new CodedError("card.pin-wrong", "the PIN is wrong", { leg: "card" });
    const identity = silentIdentity([sshd.userKey, otherKey], () => Promise.reject(wrongPin));
    const before = await sshd.log();
    expect(await attempt({ identity })).toBe(wrongPin);
    expect(identity.calls).toEqual(["publicKeys", "sign"]);
    const log = (await sshd.log()).slice(before.length);
    expect(log).not.toContain(fingerprint(otherKey.publicKey.blob));
  });

  test("gives up an identity that never signs, at its own deadline", async () => {
    const identity = silentIdentity([sshd.userKey], ({ signal }) => rejectedBy(signal));
    const error = await attempt({ identity, authenticationTimeoutMs: 80 });
    expect(error).toMatchObject({ code: "timeout" });
    expect(error.message).toContain("nothing came from the identity within 0.08 s");
  });

  test("tells the identity to stop when the host hangs up while it signs", async () => {
    await using impatient = await startSshd({ config: ["LoginGraceTime 1"] });
    let reason: unknown;
    const identity = silentIdentity([impatient.userKey], async ({ signal }) => {
      await rejectedBy(signal).catch((error) => {
        reason = error;
        throw error;
      });
      return new Uint8Array();
    });
    const error = await attempt({ identity }, impatient);
    expect(error).toMatchObject({ code: "hop.lost" });
    expect(reason).toBe(error);
  });
});

describe("a host that lets anybody in", () => {
  let open: Ssh2Server;
  beforeAll(async () => {
    open = await ssh2Server((connection) => connection.on("authentication", letAnybodyIn));
  });
  afterAll(async () => {
    await open[Symbol.asyncDispose]();
  });

  test("is refused with hop.no-signature where a signature is required, before a channel is opened", async () => {
    const identity = silentIdentity([sshd.userKey]);
    const error = await attempt({
      port: open.port,
      hostKeys: anyHostKey,
      identity,
      requireSignature: true,
      leg: "hop",
    });
    expect(error).toMatchObject({ code: "hop.no-signature", leg: "hop" });
    expect(identity.calls).toEqual(["publicKeys"]);
    expect(open.sessions).toBe(0);
  });

  test("is refused also when it says yes while the identity is still signing", async () => {
    await using hasty = await ssh2Server((connection) =>
      connection.on("authentication", (context) => {
        if (context.method !== "publickey" || context.signature !== undefined) return context.reject();
        context.accept();
        sendPayload(connection, Buffer.of(userauthSuccess));
      }),
    );
    const identity = silentIdentity([sshd.userKey], ({ signal }) => rejectedBy(signal));
    const error = await attempt({ port: hasty.port, hostKeys: anyHostKey, identity, requireSignature: true });
    expect(error).toMatchObject({ code: "hop.no-signature" });
  });

  test("is taken where no signature is required, as ssh does", async () => {
    await using hop = await Hop.connect(
      await hopOptionsFor(sshd, {
        port: open.port,
        hostKeys: anyHostKey,
        identity: silentIdentity([sshd.userKey]),
      }),
    );
    expect(hop.name).toContain(String(open.port));
  });
});

describe("a host that floods", () => {
  test("with banners is refused after 64 KiB, and 8 KiB are shown", async () => {
    let shown = 0;
    const text = encodeString("spam ".repeat(800));
    const banner = Buffer.concat([Buffer.of(userauthBanner), text, encodeString("")]);
    await using server = await ssh2Server((connection) => {
      connection.on("authentication", () => {
        for (let n = 0; n < 100; n += 1) sendPayload(connection, banner);
      });
    });
    const error = await attempt({
      port: server.port,
      hostKeys: anyHostKey,
      onBanner: (text) => {
        shown += text.length;
      },
    });
    expect(error).toMatchObject({ code: "hop.handshake-failed" });
    expect(error.message).toContain("more than 65536 bytes of banners");
    expect(shown).toBeLessThanOrEqual(8 * 1024);
  });
});

describe("a host that overruns a channel's window", () => {
  test("loses the connection instead of filling our memory", async () => {
    await using server = await ssh2Server((connection) => {
      connection.on("authentication", letAnybodyIn);
      connection.on("tcpip", (accept) => {
        accept();
        const data = Buffer.concat([
          Buffer.of(channelData),
          encodeUint32(0),
          encodeString(Buffer.alloc(32_000)),
        ]);
        // 9.6 MB: four times what ssh2 grants while nobody reads.
        for (let n = 0; n < 300; n += 1) sendPayload(connection, data);
      });
    });
    await using hop = await Hop.connect(
      await hopOptionsFor(sshd, {
        port: server.port,
        hostKeys: anyHostKey,
        identity: silentIdentity([sshd.userKey]),
      }),
    );
    const stream = await hop.dial("127.0.0.1", 1);
    const failed = once(stream, "error");
    expect(await hop.closed).toMatchObject({ code: "hop.lost" });
    expect((await failed)[0].message).toContain("overran a channel's window");
  });
});

test("a host that says yes and breaks off in one breath is a hop that is lost at once", async () => {
  await using server = await ssh2Server((connection) => {
    connection.on("authentication", (context) => {
      letAnybodyIn(context);
      sendPayload(connection, Buffer.of(channelData));
      connection.end();
    });
  });
  await using hop = await Hop.connect(
    await hopOptionsFor(sshd, {
      port: server.port,
      hostKeys: anyHostKey,
      identity: silentIdentity([sshd.userKey]),
    }),
  );
  expect(await hop.closed).toMatchObject({ code: "hop.lost" });
  expect(await failureOf(hop.exec("true"))).toMatchObject({ code: "hop.lost" });
});

describe("channels that are refused", () => {
  test("AllowTcpForwarding no is target.forbidden", async () => {
    await using strict = await startSshd({
      config: ["AllowTcpForwarding no"],
    });
    await using hop = await Hop.connect(await hopOptionsFor(strict));
    expect(await failureOf(hop.dial("127.0.0.1", 1))).toMatchObject({
      code: "target.forbidden",
      leg: "target",
    });
  });

  test("MaxSessions 0 is hop.channel-refused for a command", async () => {
    await using strict = await startSshd({ config: ["MaxSessions 0"] });
    await using hop = await Hop.connect(await hopOptionsFor(strict));
    const error = await failureOf(hop.exec("true"));
    expect(error).toMatchObject({ code: "hop.channel-refused", leg: "jump" });
  });
});

test("an RSA key logs in where only rsa-sha2-512, or only rsa-sha2-256, is taken", async () => {
  for (const algorithm of ["rsa-sha2-512", "rsa-sha2-256"]) {
    await mkdir(sshd.folder.file(algorithm));
    const key = await makeKeyPair(sshd.folder.file(`${algorithm}/key`), "rsa-2048");
    await using strict = await startSshd({
      authorizedKeys: [key.line],
      config: [`PubkeyAcceptedAlgorithms ${algorithm}`],
    });
    const identity = await KeyFileIdentity.open({ files: [key.path] });
    await using hop = await Hop.connect(await hopOptionsFor(strict, { identity, requireSignature: true }));
    expect(await strict.log()).toContain(`Accepted publickey for ${sshd.user}`);
    await hop.close();
  }
});

test("an RSA key is never offered with SHA-1", async () => {
  const key = await makeKeyPair(sshd.folder.file("sha1-key"), "rsa-2048");
  await using old = await startSshd({
    authorizedKeys: [key.line],
    config: ["PubkeyAcceptedAlgorithms ssh-rsa"],
  });
  const identity = await KeyFileIdentity.open({ files: [key.path] });
  expect(await attempt({ identity }, old)).toMatchObject({ code: "hop.auth-refused" });
  expect(await old.log()).not.toContain("sha1");
});

/** Rejects when the signal aborts; the wait of somebody who never answers. */
function rejectedBy(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason));
  });
}

/** An identity that records what it is asked for. */
function silentIdentity(
  keys: readonly KeyPair[] = [],
  sign: Identity["sign"] = () => Promise.reject(new Error("nobody should sign")),
): Identity & { readonly calls: string[] } {
  const calls: string[] = [];
  return {
    kind: "delegated",
    calls,
    publicKeys: async () => {
      calls.push("publicKeys");
      return keys.map(({ publicKey }) => publicKey);
    },
    sign: (request) => {
      calls.push("sign");
      return sign(request);
    },
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

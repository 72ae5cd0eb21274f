import { once } from "node:events";
import type { Channel } from "ssh2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Hop } from "./hop.ts";
import type { HopOptions } from "./hop-options.ts";
import { failureOf } from "./testing/failure-of.ts";
import { hopOptionsFor } from "./testing/hop-options-for.ts";
import { rejectedBy, silentIdentity } from "./testing/silent-identity.ts";
import {
  anyHostKey,
  letAnybodyIn,
  onUserauthRequest,
  rekeyWithOtherHostKey,
  type Ssh2Server,
  sendPayload,
  ssh2Server,
} from "./testing/ssh2-server.ts";
import { type Sshd, startSshd } from "./testing/sshd.ts";
import { encodeString, encodeUint32 } from "./wire.ts";

/** RFC 4250, 4.1.2. */
const userauthFailure = 51;
const userauthSuccess = 52;
const userauthBanner = 53;
const userauthKeyOk = 60;
const channelData = 94;

let sshd: Sshd;

beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
});

const attempt = async (overrides: Partial<HopOptions>, at: Sshd = sshd) =>
  failureOf(Hop.connect(await hopOptionsFor(at, overrides)));

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

test("a host that goes on about the login after its yes gets no signature", async () => {
  const failure = Buffer.concat([Buffer.of(userauthFailure), encodeString("publickey"), Buffer.of(0)]);
  const { type, blob } = sshd.userKey.publicKey;
  const keyOk = Buffer.concat([Buffer.of(userauthKeyOk), encodeString(type), encodeString(blob)]);
  await using server = await ssh2Server((connection) => {
    connection.on("authentication", (context) => {
      letAnybodyIn(context);
      sendPayload(connection, failure);
      onUserauthRequest(connection, () => sendPayload(connection, keyOk));
    });
    connection.on("tcpip", (accept) => accept());
  });
  const identity = silentIdentity([sshd.userKey, sshd.userKey]);
  await using hop = await Hop.connect(
    await hopOptionsFor(sshd, { port: server.port, hostKeys: anyHostKey, identity }),
  );
  // The first answer comes behind the refusal; the second one behind whatever that has led to.
  await hop.dial("127.0.0.1", 1);
  await hop.dial("127.0.0.1", 1);
  expect(identity.calls).toEqual(["publicKeys"]);
});

test("a channel that a host opens too late is closed at once", async () => {
  const accepts: (() => Channel)[] = [];
  await using server = await ssh2Server((connection) => {
    connection.on("authentication", letAnybodyIn);
    connection.on("tcpip", (accept) => accepts.push(accept));
  });
  const identity = silentIdentity([sshd.userKey]);
  await using hop = await Hop.connect(
    await hopOptionsFor(sshd, { port: server.port, hostKeys: anyHostKey, identity }),
  );
  const error = await failureOf(hop.dial("127.0.0.1", 1, { timeoutMs: 100 }));
  expect(error).toMatchObject({ code: "timeout", leg: "target" });
  await expect.poll(() => accepts.length).toBe(1);
  const channel = accepts[0]?.();
  channel?.resume();
  expect(channel && (await once(channel, "close"))).toBeDefined();
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

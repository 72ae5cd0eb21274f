import "./testing/without-addon.ts";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { Client } from "ssh2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { canUseDataPath, DataPath } from "./data-path.ts";
import { gcmKeysOfCipher, gcmKeysOfDecipher, shapeProblem } from "./ssh2-shape.ts";
import { type ScriptedServer, startScriptedServer } from "./testing/scripted-server.ts";

const require = createRequire(import.meta.url);

/** The sources whose inner workings the data path relies on, as they were when it was written. */
const pinnedSources = {
  "lib/client.js": "edd3484daa9d942b",
  "lib/protocol/Protocol.js": "c1104b49087de7a9",
  "lib/protocol/crypto.js": "a729d2064e787e2a",
  "lib/protocol/kex.js": "054ba4b818015963",
  "lib/protocol/utils.js": "402b39e75ede9e3d",
  "lib/protocol/zlib.js": "8cd9f4c1825cbc39",
};

describe("the ssh2 that the data path was written for", () => {
  it("is the pinned version", () => {
    expect(require("ssh2/package.json")).toMatchObject({ version: "1.17.0" });
  });

  it.each(Object.entries(pinnedSources))(
    "has the same %s; else read README.md, 'When ssh2 changes'",
    async (file, digest) => {
      const source = await readFile(require.resolve(`ssh2/${file}`));
      expect(createHash("sha256").update(source).digest("hex").slice(0, 16)).toBe(digest);
    },
  );
});

describe("the check of a connection", () => {
  let server: ScriptedServer;
  beforeAll(async () => {
    server = await startScriptedServer(() => {});
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  async function loggedIn(cipher = "aes256-gcm@openssh.com") {
    const client = new Client().on("error", () => {});
    const stream = connect({ port: server.port, host: server.host });
    const ready = once(client, "ready");
    client.connect({
      sock: stream,
      username: server.user,
      privateKey: server.privateKey,
      algorithms: { cipher: [cipher as never] },
    });
    await ready;
    // Out of ssh2's own handling.
    await new Promise((resolve) => setImmediate(resolve));
    const internals = client as unknown as { _protocol: Record<string, unknown> };
    return { client, stream, internals, [Symbol.dispose]: () => void stream.destroy() };
  }

  it("finds nothing wrong with a fresh one, and the keys of AES-GCM", async () => {
    using connection = await loggedIn();
    expect(shapeProblem(connection.client)).toBeUndefined();
    expect(canUseDataPath(connection.client, connection.stream)).toBeUndefined();
    const { _cipher, _decipher } = connection.internals._protocol as Record<string, object>;
    expect(gcmKeysOfCipher(_cipher ?? {})?.name).toBe("aes-256-gcm");
    expect(gcmKeysOfDecipher(_decipher ?? {})?.key).toHaveLength(32);
  });

  it("finds no keys of other ciphers", async () => {
    using connection = await loggedIn("aes128-ctr");
    const { _cipher, _decipher } = connection.internals._protocol as Record<string, object>;
    expect(shapeProblem(connection.client)).toBeUndefined();
    expect(gcmKeysOfCipher(_cipher ?? {})).toBeUndefined();
    expect(gcmKeysOfDecipher(_decipher ?? {})).toBeUndefined();
  });

  it.each([
    "rekey",
    "disconnect",
    "channelWindowAdjust",
    "channelEOF",
    "channelClose",
    "channelFailure",
    "directTcpip",
    "openssh_directStreamLocal",
    "_onPayload",
    "_onWrite",
    "_destruct",
    "_server",
    "_authenticated",
    "_packetRW",
    "_cipher",
    "_decipher",
  ])("refuses a protocol whose %s is something else, and changes nothing", async (name) => {
    using connection = await loggedIn();
    const right = connection.internals._protocol[name];
    connection.internals._protocol[name] = "something else";
    const before = Object.entries(connection.internals._protocol);
    const attached = await DataPath.attach(connection.client, connection.stream);
    expect(attached).toEqual({ unavailable: expect.any(String) });
    expect(Object.entries(connection.internals._protocol)).toEqual(before);
    connection.internals._protocol[name] = right;
  });

  it("refuses a client that is not logged in, another's stream, a second reader and a second data path", async () => {
    expect(canUseDataPath(new Client(), connectNowhere())).toMatch(/no protocol/u);
    using connection = await loggedIn();
    expect(canUseDataPath(connection.client, connectNowhere())).toMatch(/another stream/u);
    const listener = () => {};
    connection.stream.on("data", listener);
    expect(canUseDataPath(connection.client, connection.stream)).toMatch(/somebody else/u);
    connection.stream.off("data", listener);
    expect(await DataPath.attach(connection.client, connection.stream)).toBeInstanceOf(DataPath);
    expect(await DataPath.attach(connection.client, connection.stream)).toEqual({
      unavailable: expect.stringMatching(/plain property/u),
    });
  });

  it("refuses a connection that compresses", async () => {
    using connection = await loggedIn();
    const protocol = connection.internals._protocol;
    const right = protocol["_packetRW"];
    protocol["_packetRW"] = { read: { _zlib: {} }, write: { allocStart: 0, _zlib: {} } };
    expect(canUseDataPath(connection.client, connection.stream)).toMatch(/compressed/u);
    protocol["_packetRW"] = right;
  });

  it("waits for the end of a key exchange", async () => {
    using connection = await loggedIn();
    (connection.internals._protocol as unknown as { rekey: () => void }).rekey();
    expect(canUseDataPath(connection.client, connection.stream)).toMatch(/key exchange/u);
    expect(await DataPath.attach(connection.client, connection.stream)).toBeInstanceOf(DataPath);
  });

  it("refuses one that is closed, also in a key exchange", async () => {
    using connection = await loggedIn();
    (connection.internals._protocol as unknown as { rekey: () => void }).rekey();
    const attached = DataPath.attach(connection.client, connection.stream);
    connection.stream.destroy();
    expect(await attached).toEqual({ unavailable: expect.stringMatching(/closed/u) });
  });
});

function connectNowhere() {
  return connect({ port: 1, host: "127.0.0.1" }).on("error", () => {});
}

import "./testing/without-addon.ts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Sshd, startSshd } from "../testing/index.ts";
import { connectTo } from "./testing/connection.ts";
import { relayTo } from "./testing/relay.ts";
import { receive, sendRandom } from "./testing/stream-digest.ts";
import { dial, listen } from "./testing/tcp.ts";

const bytes = 8 * 1024 * 1024;

describe("the data path under every cipher", () => {
  let sshd: Sshd;
  beforeAll(async () => {
    sshd = await startSshd({ config: ["Ciphers +aes128-cbc", "MACs +hmac-sha1"] });
  });
  afterAll(async () => {
    await sshd?.[Symbol.asyncDispose]();
  });

  it.each([
    ["aes128-gcm@openssh.com", undefined],
    ["aes256-gcm@openssh.com", undefined],
    ["chacha20-poly1305@openssh.com", undefined],
    ["aes128-ctr", "hmac-sha2-256-etm@openssh.com"],
    ["aes192-ctr", "hmac-sha2-512-etm@openssh.com"],
    ["aes256-ctr", "hmac-sha2-256"],
    ["aes128-ctr", "hmac-sha2-512"],
    ["aes128-cbc", "hmac-sha1"],
  ])("carries data unaltered with %s and %s", async (cipher, hmac) => {
    await using connection = await connectTo(sshd, { cipher, hmac });
    let arrived: Promise<{ digest: string }> | undefined;
    let sent: Promise<string> | undefined;
    await using target = await listen((socket) => {
      arrived = receive(socket);
      sent = sendRandom(socket, bytes, 1);
    });
    await using relay = await relayTo(connection.path, { host: "127.0.0.1", port: target.port });
    const client = await dial(relay.port);
    const down = receive(client);
    const up = await sendRandom(client, bytes, 2);
    expect((await down).digest).toBe(await sent);
    expect((await arrived)?.digest).toBe(up);
    expect(connection.errors).toEqual([]);
  });
});

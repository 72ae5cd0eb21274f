import { describe, expect, it } from "vitest";
import { startSshd } from "../testing/index.ts";
import { connectTo } from "./testing/connection.ts";
import { relayTo } from "./testing/relay.ts";
import { receive, sendRandom } from "./testing/stream-digest.ts";
import { dial, listen } from "./testing/tcp.ts";

const bytes = 8 * 1024 * 1024;

describe("the data path over whatever ssh2 is installed with, perhaps its native addon", () => {
  it.each(["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr"])(
    "carries data unaltered with %s, through key exchanges",
    async (cipher) => {
      await using sshd = await startSshd({ config: ["RekeyLimit 2M"] });
      await using connection = await connectTo(sshd, { cipher });
      await using target = await listen((socket) => void socket.pipe(socket));
      await using relay = await relayTo(connection.path, { host: "127.0.0.1", port: target.port });
      const client = await dial(relay.port);
      const echoed = receive(client);
      expect(await sendRandom(client, bytes, 1)).toBe((await echoed).digest);
      expect(connection.errors).toEqual([]);
    },
  );
});

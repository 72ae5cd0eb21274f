/**
 * `hostile-target ADDRESS PORT MODE HOST_KEY_FILE`: an SSH server with the right host key that takes any signature, and misbehaves on
 * the connections that are forwarded: `window-flood` sends more than the window and all buffers on the way, `closed-channel` goes on after its
 * close, `silent` never answers, `rekey-storm` echoes, and starts a key exchange as soon as the one before it is over.
 * Says `channel` for each connection, and `rekeyed` for each hundredth exchange.
 */
import { readFileSync } from "node:fs";
import ssh2 from "ssh2";

const [address = "127.0.0.1", port = "22", mode = "", hostKeyFile = ""] = process.argv.slice(2);
const say = (what: string): boolean => process.stdout.write(`${what}\n`);

/** ssh2's inside, for saying what no server should say. */
interface Protocol {
  _handlers: Record<string, (protocol: Protocol, request: { sender: number; window: number }) => void>;
  rekey(): void;
  channelOpenConfirm(remote: number, local: number, window: number, maxPacket: number): void;
  channelData(remote: number, data: Buffer): void;
  channelClose(remote: number): void;
}

const WINDOW = 2 ** 21;
const MORE = 2 ** 25;

const byHand: Readonly<Record<string, (protocol: Protocol, sender: number, window: number) => void>> = {
  silent: () => {},
  "window-flood": (protocol, sender, window) => {
    protocol.channelOpenConfirm(sender, sender, WINDOW, 32_768);
    const piece = Buffer.alloc(32_000);
    for (let sent = 0; sent <= window + MORE; sent += piece.length) protocol.channelData(sender, piece);
  },
  "closed-channel": (protocol, sender) => {
    protocol.channelOpenConfirm(sender, sender, WINDOW, 32_768);
    protocol.channelClose(sender);
    for (let count = 0; count < 1_000; count += 1) protocol.channelData(sender, Buffer.from("for nobody"));
  },
};

const server = new ssh2.Server({ hostKeys: [readFileSync(hostKeyFile)] }, (client) => {
  const { _protocol: protocol } = client as unknown as { _protocol: Protocol };
  client.on("authentication", (context) => {
    if (context.method === "publickey") context.accept();
    else context.reject(["publickey"]);
  });
  client.on("error", () => {});
  client.on("ready", () => {
    const answer = byHand[mode];
    if (answer !== undefined) {
      protocol._handlers["CHANNEL_OPEN"] = (_, { sender, window }) => {
        say("channel");
        answer(protocol, sender, window);
      };
    }
    if (mode === "rekey-storm") protocol.rekey();
  });
  let rekeys = 0;
  client.on("rekey", () => {
    rekeys += 1;
    if (rekeys % 100 === 0) say("rekeyed");
    if (mode === "rekey-storm") setImmediate(() => protocol.rekey());
  });
  client.on("tcpip", (accept) => {
    say("channel");
    const channel = accept();
    channel.on("error", () => {});
    channel.pipe(channel);
  });
});
server.listen(Number(port), address, () => say("listening"));

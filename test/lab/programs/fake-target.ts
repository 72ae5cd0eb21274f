/**
 * An SSH server that is not what it seems: `fake-target ADDRESS PORT MODE HOST_KEY_FILE`. Modes: `anybody` lets every
 * login in without a signature (method none); `any-signature` takes any public key. Every byte of a forwarded
 * connection is counted: one JSON line an event (`login`, `channel`, `data`).
 */
import { readFileSync } from "node:fs";
import ssh2 from "ssh2";

const [address = "127.0.0.1", port = "22", mode = "anybody", hostKeyFile = ""] = process.argv.slice(2);
const say = (event: Record<string, unknown>): boolean => process.stdout.write(`${JSON.stringify(event)}\n`);

const server = new ssh2.Server({ hostKeys: [readFileSync(hostKeyFile)] }, (client) => {
  client.on("authentication", (context) => {
    say({ event: "attempt", method: context.method, user: context.username });
    if (mode === "anybody") acceptAtOnce(context);
    else if (context.method === "publickey") context.accept();
    else context.reject(["publickey"]);
  });
  client.on("ready", () => say({ event: "login" }));
  client.on("tcpip", (accept) => {
    say({ event: "channel" });
    const channel = accept();
    channel.on("data", (chunk: Buffer) => say({ event: "data", bytes: chunk.length }));
    channel.on("error", () => {});
    channel.write("a false answer\n");
  });
  client.on("error", (error: Error) => say({ event: "error", message: error.message }));
});
/** Success where a server should say that it would take the key, once it has seen a signature. */
function acceptAtOnce(context: ssh2.AuthContext): void {
  // ssh2's own accept() for public keys asks for the signature; that of the class below it does not.
  const base = Object.getPrototypeOf(Object.getPrototypeOf(context)) as { accept?: () => void };
  if (context.method === "publickey") base.accept?.call(context);
  else context.accept();
}

server.listen(Number(port), address, () => say({ event: "listening" }));

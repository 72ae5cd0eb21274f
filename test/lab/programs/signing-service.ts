/**
 * The service that a build wants to reach: `signing-service [PORT]`. Listens on the host's own localhost only. Whoever
 * connects, sends bytes and ends gets the detached Ed25519 signature of them (64 bytes). Prints its public key (PEM).
 */
import { generateKeyPairSync, sign } from "node:crypto";
import { createServer } from "node:net";

const port = Number(process.argv[2] ?? 4444);
const { privateKey, publicKey } = generateKeyPairSync("ed25519");

const server = createServer({ allowHalfOpen: true }, (socket) => {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.once("end", () => socket.end(sign(null, Buffer.concat(chunks), privateKey)));
  socket.on("error", () => socket.destroy());
});
server.listen(port, "127.0.0.1", () => {
  process.stdout.write(String(publicKey.export({ type: "spki", format: "pem" })));
});

/**
 * A build step that needs a signature: `build-job FILE PUBLIC_KEY_FILE [HOST:PORT]`. Sends the file to the signing
 * service and verifies what comes back. Exit 0 only where the signature is good; nothing is written.
 */
import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:net";

const [file = "", keyFile = "", address = "localhost:4444"] = process.argv.slice(2);
const [host = "localhost", port = "4444"] = address.split(":");
const content = readFileSync(file);
const publicKey = createPublicKey(readFileSync(keyFile));

const socket = connect({ host, port: Number(port), allowHalfOpen: true });
const answer: Buffer[] = [];
socket.on("connect", () => socket.end(content));
socket.on("data", (chunk: Buffer) => answer.push(chunk));
socket.once("error", (error) => finish(`cannot reach the signing service at ${address}: ${error.message}`));
socket.once("end", () => {
  const signature = Buffer.concat(answer);
  if (!verify(null, content, publicKey, signature)) finish(`the signature of ${file} is not valid`);
  else {
    process.stdout.write(`signed ${file} (${content.length} bytes): ${signature.toString("base64")}\n`);
    process.stdout.write("the signature is valid\n");
  }
});

function finish(message: string): void {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
  socket.destroy();
}

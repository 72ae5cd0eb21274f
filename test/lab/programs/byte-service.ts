/**
 * `byte-service PORT|PATH BYTES [ADDRESS]`: sends BYTES to each connection while it reads all that comes, then prints one JSON
 * line a connection. Prints `listening` first.
 */
import { createServer } from "node:net";
import { exchange } from "./byte-stream.ts";

const [where = "", bytes = "0", address = "127.0.0.1"] = process.argv.slice(2);
const server = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on("error", () => {});
  exchange(socket, Number(bytes)).then(
    (report) => process.stdout.write(`${JSON.stringify(report)}\n`),
    (error: Error) => process.stdout.write(`${JSON.stringify({ error: error.message })}\n`),
  );
});
const announce = (): boolean => process.stdout.write("listening\n");
if (/^\d+$/.test(where)) server.listen(Number(where), address, announce);
else server.listen(where, announce);

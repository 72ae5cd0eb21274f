/**
 * `byte-client HOST:PORT|PATH BYTES STREAMS [RATE]`: STREAMS connections at once, each sends BYTES while it reads all that
 * comes, at RATE bytes a second each way where it is given. Prints one JSON line a connection; exit 1 where one failed.
 */
import { connect } from "node:net";
import { exchange } from "./byte-stream.ts";

const [where = "", bytes = "0", streams = "1", rate] = process.argv.slice(2);
const colon = where.lastIndexOf(":");
const place = where.startsWith("/")
  ? { path: where }
  : { host: where.slice(0, colon), port: Number(where.slice(colon + 1)) };

void Promise.all(
  Array.from({ length: Number(streams) }, async () => {
    const socket = connect({ ...place, allowHalfOpen: true });
    socket.on("error", () => {});
    try {
      const report = await exchange(socket, Number(bytes), rate === undefined ? undefined : Number(rate));
      process.stdout.write(`${JSON.stringify(report)}\n`);
    } catch (error) {
      process.stdout.write(`${JSON.stringify({ error: (error as Error).message })}\n`);
      process.exitCode = 1;
    }
  }),
);

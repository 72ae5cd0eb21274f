/**
 * Connections at a steady rate, each of which must get its byte back: `steady-client PLACE… PER_SECOND`, to each place in turn: a
 * port of 127.0.0.1, or a socket's path. Prints `going` when the first hundred are over, and at the end of its input what it has seen, as JSON.
 */
import { connect } from "node:net";

const places = process.argv.slice(2, -1);
const perSecond = Number(process.argv.at(-1));
/** Below the backlog of a listener: a socket's refuses what is beyond it, at once. */
const MOST_AT_ONCE = 200;
const failures: string[] = [];
const open = new Set<Promise<void>>();
let started = 0;
let done = 0;
const from = performance.now();

function one(place: string): Promise<void> {
  return new Promise((resolve) => {
    const where = place.startsWith("/") ? { path: place } : { host: "127.0.0.1", port: Number(place) };
    const socket = connect({ ...where, allowHalfOpen: true });
    let got = "";
    socket.on("connect", () => socket.end("x"));
    socket.on("data", (chunk: Buffer) => {
      got += chunk.toString();
    });
    socket.once("error", ({ message }) => failures.push(message));
    socket.once("close", () => {
      if (got !== "x" && failures.length === 0) failures.push(`got ${JSON.stringify(got)}`);
      done += 1;
      if (done === 100) process.stdout.write("going\n");
      resolve();
    });
  });
}

const timer = setInterval(() => {
  const due = ((performance.now() - from) / 1000) * perSecond;
  for (; started < due && open.size < MOST_AT_ONCE; started += 1) {
    const each = one(places[started % places.length] ?? "").finally(() => open.delete(each));
    open.add(each);
  }
}, 5);

process.stdin.resume().once("end", async () => {
  clearInterval(timer);
  await Promise.all(open);
  process.stdout.write(
    `${JSON.stringify({ started, done, failures: failures.slice(0, 5), failed: failures.length })}\n`,
  );
});

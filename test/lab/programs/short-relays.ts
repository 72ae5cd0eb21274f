/**
 * `short-relays PORT COUNT PER_SECOND SEED`: COUNT connections to an echo service, one after the other at that rate, each open for as
 * short as it goes and ended in a way of its own. Prints what it has seen as a line of JSON every thousand, and at the end.
 */
import { randomFillSync } from "node:crypto";
import { connect } from "node:net";
import { seededRandom } from "../../support/seeded-random.ts";

const [port = 0, count = 0, perSecond = 100, seed = 1] = process.argv.slice(2).map(Number);
const MOST_BYTES = 2_000;
const MOST_AT_ONCE = 200;
const TICK_MS = 5;

/**
 * `answered`: sends, ends, and reads to the service's end. `reset`: sends, and resets before or while the answer comes. `dropped`:
 * reads the answer, and resets then. `silent`: closes without a byte, as a port scanner does.
 */
const ways = ["answered", "answered", "answered", "reset", "dropped", "silent"] as const;

const random = seededRandom(seed);
const seen = { done: 0, answered: 0, reset: 0, dropped: 0, silent: 0, failed: 0, failures: [] as string[] };
let started = 0;
let open = 0;

function one(): void {
  const way = ways[Math.floor(random() * ways.length)] ?? "answered";
  const bytes = randomFillSync(Buffer.alloc(1 + Math.floor(random() * MOST_BYTES)));
  const got: Buffer[] = [];
  let length = 0;
  let failure: string | undefined;
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
  socket.once("connect", () => {
    if (way === "silent") socket.destroy();
    else if (way === "answered") socket.end(bytes);
    else socket.write(bytes, () => way === "reset" && socket.resetAndDestroy());
  });
  socket.on("data", (chunk: Buffer) => {
    got.push(chunk);
    length += chunk.length;
    if (way === "dropped" && length >= bytes.length) socket.resetAndDestroy();
  });
  socket.once("error", ({ message }) => {
    failure = message;
  });
  socket.once("close", () => {
    open -= 1;
    seen.done += 1;
    seen[way] += 1;
    const isWhole = Buffer.concat(got).equals(bytes);
    if ((way === "answered" || way === "dropped") && !isWhole)
      failure ??= `${length} of ${bytes.length} bytes came back`;
    if (failure !== undefined) {
      seen.failed += 1;
      if (seen.failures.length < 5) seen.failures.push(`${way}: ${failure}`);
    }
    if (seen.done % 1_000 === 0 || seen.done === count) process.stdout.write(`${JSON.stringify(seen)}\n`);
  });
}

const from = performance.now();
const timer = setInterval(() => {
  const due = Math.min(count, ((performance.now() - from) / 1000) * perSecond);
  for (; started < due && open < MOST_AT_ONCE; started += 1) {
    open += 1;
    one();
  }
  if (started === count) clearInterval(timer);
}, TICK_MS);

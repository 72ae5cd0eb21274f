/**
 * `relay-crowd PORT COUNT PERIOD_S SEED`: keeps COUNT connections to an echo service open, and sends a few random bytes over
 * each of them every PERIOD_S, which must come back as they were before its next turn. Prints a line of JSON when all are
 * open, another for each line on its stdin, and a last one once its stdin has ended and it has closed them: half of them by their
 * end, half by a reset.
 */
import { randomFillSync } from "node:crypto";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { seededRandom } from "../../support/seeded-random.ts";

const [port = 0, count = 0, periodS = 10, seed = 1] = process.argv.slice(2).map(Number);
const AT_ONCE = 64;
const MOST_BYTES = 512;
const TICK_MS = 50;

const random = seededRandom(seed);
const seen = { open: 0, refused: 0, sent: 0, answered: 0, wrong: 0, late: 0, lost: 0 };
let isClosing = false;

class Talk {
  readonly socket: Socket;
  #expected = Buffer.alloc(0);
  #got = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.once("close", () => {
      seen.open -= 1;
      if (!isClosing) seen.lost += 1;
    });
  }

  say(): void {
    if (this.socket.destroyed) return;
    if (this.#got < this.#expected.length) {
      seen.late += 1;
      return;
    }
    this.#expected = randomFillSync(Buffer.alloc(1 + Math.floor(random() * MOST_BYTES)));
    this.#got = 0;
    seen.sent += 1;
    this.socket.write(this.#expected);
  }

  #take(chunk: Buffer): void {
    const due = this.#expected.subarray(this.#got, this.#got + chunk.length);
    this.#got += chunk.length;
    if (!due.equals(chunk)) seen.wrong += 1;
    else if (this.#got === this.#expected.length) seen.answered += 1;
  }
}

const talks: Talk[] = [];

function open(): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    const refused = (): void => {
      seen.refused += 1;
      resolve();
    };
    socket.once("error", refused);
    socket.once("connect", () => {
      socket.off("error", refused);
      seen.open += 1;
      const talk = new Talk(socket);
      talks.push(talk);
      // Open is what has answered once, all the way there and back.
      socket.once("data", () => resolve());
      socket.once("close", () => resolve());
      talk.say();
    });
  });
}

async function openAll(): Promise<void> {
  let begun = 0;
  const one = async (): Promise<void> => {
    while (begun < count) {
      begun += 1;
      await open();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

const report = (): boolean => process.stdout.write(`${JSON.stringify(seen)}\n`);

async function main(): Promise<void> {
  await openAll();
  report();
  const from = performance.now();
  let turns = 0;
  const timer = setInterval(() => {
    const due = ((performance.now() - from) / 1000 / periodS) * talks.length;
    for (; turns < due; turns += 1) talks[turns % talks.length]?.say();
  }, TICK_MS);
  const lines = createInterface({ input: process.stdin });
  lines.on("line", report);
  await new Promise((resolve) => lines.once("close", resolve));
  clearInterval(timer);
  isClosing = true;
  const closed = talks.map(
    ({ socket }) =>
      new Promise<void>((resolve) => (socket.closed ? resolve() : socket.once("close", () => resolve()))),
  );
  for (const [index, { socket }] of talks.entries()) {
    if (index % 2 === 0) socket.end();
    else socket.resetAndDestroy();
  }
  await Promise.all(closed);
  report();
}

void main();

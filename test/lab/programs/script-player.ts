/**
 * `script-player`: plays ends of connections, as the orders on its stdin say, one JSON line each, and says what it saw
 * on its stdout. Ends with its stdin. See test/conformance.
 */
import net from "node:net";
import { createInterface } from "node:readline";
import type { Order, Word } from "../../conformance/order.ts";
import { play } from "../../conformance/play.ts";
import type { Sight } from "../../conformance/script.ts";

type Client = Extract<Order, { play: "client" }>;
type Service = Extract<Order, { play: "service" }>;

const say = (word: Word): boolean => process.stdout.write(`${JSON.stringify(word)}\n`);
/** What `on` and `enough` do for a run. */
const openGates = new Map<number, () => void>();
const enoughs = new Map<number, AbortController>();

function enoughOf(run: number): AbortSignal {
  const controller = enoughs.get(run) ?? new AbortController();
  enoughs.set(run, controller);
  return controller.signal;
}

function gateOf(run: number): () => Promise<void> {
  return () =>
    new Promise((resolve) => {
      openGates.set(run, resolve);
      say({ run, is: "at gate" });
    });
}

async function beClient({ run, to, steps, connections, atOnce }: Client): Promise<void> {
  const sights: Sight[] = [];
  let started = 0;
  const one = async (): Promise<void> => {
    while (started < connections) {
      started += 1;
      const socket = net.connect({ ...to, allowHalfOpen: true, noDelay: true });
      const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
        socket.once("connect", () => resolve(undefined)).once("error", resolve);
      });
      const enough = enoughOf(run);
      if (failure === undefined)
        sights.push(await play(socket, { end: "client", steps, gate: gateOf(run), enough }));
      else sights.push({ saw: refusal(failure), sent: 0, received: 0, isIntact: true });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  say({ run, is: "done", sights });
}

/** A connection that was there and was cut before its program heard of it fails as if it had never been. */
function refusal({ code, message }: NodeJS.ErrnoException): string[] {
  return code === "ECONNRESET" ? ["connected", "reset", "closed"] : [code ?? message];
}

function beService({ run, at, steps, connections }: Service): void {
  const sights: Sight[] = [];
  let seen = 0;
  const enough = enoughOf(run);
  const done = (): void => {
    server.close();
    say({ run, is: "done", sights });
  };
  const server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
    seen += 1;
    void play(socket, { end: "service", steps, gate: gateOf(run), enough }).then((sight) => {
      sights.push(sight);
      if (sights.length === connections || (enough.aborted && sights.length === seen)) done();
    });
    if (steps[0]?.do !== "pause") socket.resume();
  });
  enough.addEventListener("abort", () => {
    // Who has come is heard to the end.
    if (seen === 0) done();
  });
  server.listen(at, () => say({ run, is: "listening" }));
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const order = JSON.parse(line) as Order;
    if (order.play === "client") void beClient(order);
    else if (order.play === "service") beService(order);
    else if (order.play === "on") openGates.get(order.run)?.();
    else enoughs.get(order.run)?.abort();
  })
  .on("close", () => process.exit());

import { once } from "node:events";
import { expect } from "vitest";
import { connect, readAll } from "./tcp.ts";

/** What comes back from `place`: a port of 127.0.0.1, or a socket's path. */
export async function answer(place: number | string, text = "hello"): Promise<string> {
  const socket = await connect(
    typeof place === "number" ? { host: "127.0.0.1", port: place } : { path: place },
  );
  socket.end(text);
  return (await readAll(socket)).toString();
}

/** A relay that is used throughout. */
export async function longRelay(port: number) {
  const socket = await connect({ host: "127.0.0.1", port });
  let broken: Error | undefined;
  socket.on("close", () => {
    broken ??= new Error("the relay was cut");
  });
  return {
    async say(text: string): Promise<string> {
      if (broken !== undefined) throw broken;
      socket.write(text);
      const [chunk] = (await once(socket, "data")) as [Buffer];
      return chunk.toString();
    },
    isCut: () => broken !== undefined,
    end: () => socket.destroy(),
  };
}

/** What the agent says on its port for metrics. */
export async function metrics(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

export function bothLoopbacks(port: number) {
  return ["127.0.0.1", "::1"].map((address) => ({ kind: "tcp", address, port }));
}

/** Asks `perSecond` times a second, and must be answered `wanted` each time. */
export function startLoad(perSecond: number, ask: () => Promise<string>, wanted: string) {
  const failures: string[] = [];
  const open = new Set<Promise<void>>();
  let started = 0;
  const from = performance.now();
  const timer = setInterval(() => {
    for (const due = ((performance.now() - from) / 1000) * perSecond; started < due; started += 1) {
      const one: Promise<void> = ask()
        .then((text) => {
          if (text !== wanted) failures.push(`got ${JSON.stringify(text)}`);
        })
        .catch((error: Error) => void failures.push(`${error.message} ${error.cause ?? ""}`))
        .finally(() => open.delete(one));
      open.add(one);
    }
  }, 5);
  return {
    get started() {
      return started;
    },
    reached: (count: number) => expect.poll(() => started).toBeGreaterThanOrEqual(count),
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
      return { failures };
    },
  };
}

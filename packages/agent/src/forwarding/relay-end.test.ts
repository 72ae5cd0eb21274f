import { once } from "node:events";
import net from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { connect, readAll, serveTcp } from "../testing/tcp.ts";
import { Relay } from "./relay.ts";
import { relayEndOfAccepted } from "./relay-end.ts";

afterEach(() => void vi.restoreAllMocks());

/** An accepted socket as a listener hands it on, and its client. */
async function accepted() {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const [[socket], client] = await Promise.all([
    once(server, "connection") as Promise<[net.Socket]>,
    connect({ host: "127.0.0.1", port }),
  ]);
  server.close();
  return { socket, client };
}

/** Relays `text` there and back over `end`; the service answers with what it got. */
async function thereAndBack(end: ReturnType<typeof relayEndOfAccepted>, client: net.Socket) {
  await using service = await serveTcp((socket) => socket.pipe(socket));
  const target = net.connect({ host: "127.0.0.1", port: service.port, allowHalfOpen: true });
  target.pause();
  await once(target, "connect");
  const relay = new Relay(end, { stream: target });
  const text = "x".repeat(300_000);
  client.end(text);
  expect((await readAll(client)).toString() === text).toBe(true);
  expect(await relay.closed).toEqual({ reason: "end" });
}

test("an accepted socket gets pooled reads, on a socket that took its handle over", async () => {
  const { socket, client } = await accepted();
  const end = relayEndOfAccepted(socket);
  expect([end.stream === socket, end.reader !== undefined, socket.destroyed]).toEqual([false, true, true]);
  await thereAndBack(end, client);
});

test("an accepted socket whose handle can't be seen is relayed through its own stream", async () => {
  const { socket, client } = await accepted();
  Object.defineProperty(socket, "_handle", { value: undefined, configurable: true, writable: true });
  const end = relayEndOfAccepted(socket);
  Reflect.deleteProperty(socket, "_handle");
  expect([end.stream === socket, end.reader]).toEqual([true, undefined]);
  await thereAndBack(end, client);
});

const RealSocket = net.Socket;

test.each([
  [
    "refuses handles",
    () => {
      throw new TypeError("no handles");
    },
  ],
  ["takes no notice of a handle", () => new RealSocket()],
])("where Node.js %s, an accepted socket is relayed through its own stream", async (_, make) => {
  const { socket, client } = await accepted();
  vi.spyOn(net, "Socket").mockImplementation((() => make()) as never);
  const end = relayEndOfAccepted(socket);
  vi.restoreAllMocks();
  expect([end.stream === socket, end.reader, socket.destroyed]).toEqual([true, undefined, false]);
  await thereAndBack(end, client);
});

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

test("an accepted socket gets pooled reads", async () => {
  const { socket, client } = await accepted();
  const end = relayEndOfAccepted(socket);
  expect([end.stream === socket, end.reader !== undefined]).toEqual([true, true]);
  const ordinary = vi.spyOn(socket, "push");
  await thereAndBack(end, client);
  // Nothing but the end came by the stream itself.
  expect(ordinary.mock.calls).toEqual([[null]]);
});

test.each([
  ["takes no buffer", { useUserBuffer: undefined }],
  [
    "refuses the buffer",
    {
      useUserBuffer: () => {
        throw new TypeError("no buffers");
      },
    },
  ],
])("an accepted socket whose handle %s is relayed through its own stream", async (_, changed) => {
  const { socket, client } = await accepted();
  const { _handle: handle } = socket as unknown as { _handle: object };
  for (const [name, value] of Object.entries(changed)) Object.defineProperty(handle, name, { value });
  const end = relayEndOfAccepted(socket);
  expect([end.stream === socket, end.reader]).toEqual([true, undefined]);
  await thereAndBack(end, client);
});

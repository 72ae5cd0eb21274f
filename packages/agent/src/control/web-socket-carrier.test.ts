import { once } from "node:events";
import http from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { CodedError, MAX_FRAME_BYTES, WebSocketStream } from "@farside/protocol";
import { describeMessageStream } from "@farside/protocol/testing";
import { describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";

interface Pair extends AsyncDisposable {
  readonly client: WebSocket;
  readonly server: WebSocket;
  readonly socket: Socket;
}

async function webSockets(): Promise<Pair> {
  const webSocketServer = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_FRAME_BYTES,
    perMessageDeflate: false,
  });
  const listener = http.createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const server = new Promise<WebSocket>((resolve) => {
    listener.on("upgrade", (request, socket, head) =>
      webSocketServer.handleUpgrade(request, socket, head, resolve),
    );
  });
  const socket = connect(port, "127.0.0.1");
  const client = new WebSocket("ws://agent/control", {
    createConnection: () => socket,
    ...{ perMessageDeflate: false, maxPayload: MAX_FRAME_BYTES },
  });
  const [joined] = await Promise.all([server, once(client, "open")]);
  return {
    ...{ client, server: joined, socket },
    async [Symbol.asyncDispose]() {
      client.terminate();
      joined.terminate();
      listener.close();
      await once(listener, "close");
    },
  };
}

describeMessageStream("a WebSocket", async () => {
  const pair = await webSockets();
  return {
    a: new WebSocketStream(pair.client),
    b: new WebSocketStream(pair.server),
    breakCarrier: () => pair.socket.resetAndDestroy(),
    release: async () => pair[Symbol.asyncDispose](),
  };
});

describe("a stream over a WebSocket", () => {
  const failureOf = async (pair: Pair): Promise<unknown> => {
    const stream = new WebSocketStream(pair.server);
    try {
      for await (const message of stream.messages) expect(message).toEqual({ ok: true });
      return undefined;
    } catch (error) {
      return error;
    } finally {
      await stream.close();
    }
  };

  test.each([
    ["a text message", (socket: WebSocket) => socket.send("{}")],
    ["a message that is too long", (socket: WebSocket) => socket.send(Buffer.alloc(MAX_FRAME_BYTES + 1))],
    ["bytes that are no message", (socket: WebSocket) => socket.send(Buffer.from([0xc1]))],
    ["an empty message", (socket: WebSocket) => socket.send(Buffer.alloc(0))],
  ])("fails with protocol.bad-message at %s, after the messages before it", async (_what, send) => {
    await using pair = await webSockets();
    const own = new WebSocketStream(pair.client);
    await own.send({ ok: true });
    send(pair.client);
    expect(await failureOf(pair)).toMatchObject({ code: "protocol.bad-message" });
  });

  test("stops reading the socket while nobody reads its messages, and goes on when somebody does", async () => {
    await using pair = await webSockets();
    const [from, to] = [new WebSocketStream(pair.client), new WebSocketStream(pair.server)];
    const count = 60;
    const sending = (async () => {
      for (let index = 0; index < count; index += 1) await from.send({ index });
    })();
    await expect.poll(() => pair.server.isPaused).toBe(true);
    let received = 0;
    for await (const message of to.messages) {
      expect(message).toEqual({ index: received });
      received += 1;
      if (received === count) break;
    }
    await sending;
    expect(pair.server.isPaused).toBe(false);
  });

  test("fails with agent.gone where the socket breaks without a goodbye", async () => {
    await using pair = await webSockets();
    const failure = failureOf(pair);
    pair.client.terminate();
    expect(await failure).toBeInstanceOf(CodedError);
    expect(await failure).toMatchObject({ code: "agent.gone" });
  });

  test("closes in bounded time though the other side reads nothing", async () => {
    await using pair = await webSockets();
    const stream = new WebSocketStream(pair.server);
    pair.client.pause();
    const sending = stream.send({ bytes: new Uint8Array(900_000) });
    sending.catch(() => undefined);
    await stream.close();
    await expect.poll(() => pair.server.readyState).toBe(WebSocket.CLOSED);
  });
});

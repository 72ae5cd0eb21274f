import "./testing/without-addon.ts";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { type ConnectionOptions, connectTo } from "./testing/connection.ts";
import { relayTo } from "./testing/relay.ts";
import {
  type OpenRequest,
  type ScriptedServer,
  type ServerProtocol,
  sendPayload,
  startScriptedServer,
} from "./testing/scripted-server.ts";
import { dial, listen, until } from "./testing/tcp.ts";
import { WindowBudget } from "./window-budget.ts";

const target = { host: "target", port: 1 };
const remoteId = 7;

function confirm(protocol: ServerProtocol, { sender }: OpenRequest, window = 2 ** 21, maxPacket = 32_768) {
  protocol.channelOpenConfirm(sender, remoteId, window, maxPacket);
}

function bytesOf(...parts: (number | string)[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === "string") return Buffer.from(part, "latin1");
      const number = Buffer.alloc(4);
      number.writeUInt32BE(part);
      return number;
    }),
  );
}

type Script = (protocol: ServerProtocol, request: OpenRequest, server: ScriptedServer) => void;

/** Lets `script` answer the request for the one channel, and resolves with how the client's side took it. */
async function whatBecomesOf(script: Script, options: ConnectionOptions = {}) {
  await using server: ScriptedServer = await startScriptedServer((protocol, request) =>
    script(protocol, request, server),
  );
  // One packet can overrun the least window.
  await using connection = await connectTo(server, { windows: new WindowBudget(0), ...options });
  await using relay = await relayTo(connection.path, target);
  const client = await dial(relay.port);
  const clientClosed = Promise.race([once(client.resume(), "end"), once(client, "close")]).catch(() => {});
  const error = await connection.path.closed;
  await clientClosed;
  client.destroy();
  await until(() => relay.ends.length + relay.failures.length === 1, "the relay ended");
  return { error, end: relay.ends[0], failure: relay.failures[0], errors: connection.errors };
}

/** What the client of one relay sees when `script` answers; the connection must survive. */
async function relayWith(script: Script, options: ConnectionOptions = {}) {
  const server: ScriptedServer = await startScriptedServer((protocol, request) =>
    script(protocol, request, server),
  );
  const connection = await connectTo(server, options);
  const relay = await relayTo(connection.path, target);
  const client: Socket = await dial(relay.port);
  return {
    server,
    connection,
    relay,
    client,
    async [Symbol.asyncDispose]() {
      await relay[Symbol.asyncDispose]();
      await connection[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const violations: readonly [string, RegExp, Script][] = [
  [
    "more data than the window of the channel",
    /window/,
    (protocol, request) => {
      confirm(protocol, request);
      protocol.channelData(request.sender, Buffer.alloc(request.window + 1));
    },
  ],
  [
    "more extended data than the window of the channel",
    /window/,
    (protocol, request) => {
      confirm(protocol, request);
      protocol.channelExtData(request.sender, Buffer.from("data"), 1);
      protocol.channelExtData(request.sender, Buffer.alloc(request.window + 1), 1);
    },
  ],
  [
    "data for a channel that never was",
    /does not exist/,
    (protocol, request) => protocol.channelData(request.sender + 5, Buffer.from("for whom")),
  ],
  [
    "data before the channel is open",
    /not open/,
    (protocol, request) => protocol.channelData(request.sender, Buffer.from("early")),
  ],
  [
    "data after the end of the data",
    /after the end/,
    (protocol, request) => {
      confirm(protocol, request);
      protocol.channelEOF(request.sender);
      protocol.channelData(request.sender, Buffer.from("late"));
    },
  ],
  [
    "data after the channel is closed",
    /does not exist/,
    (protocol, request) => {
      confirm(protocol, request);
      protocol.channelClose(request.sender);
      protocol.channelData(request.sender, Buffer.from("late"));
    },
  ],
  [
    "the end of the data twice",
    /second end/,
    (protocol, request) => {
      confirm(protocol, request);
      protocol.channelEOF(request.sender);
      protocol.channelEOF(request.sender);
    },
  ],
  [
    "the close twice",
    /does not exist/,
    (protocol, request) => {
      confirm(protocol, request);
      protocol.channelClose(request.sender);
      protocol.channelClose(request.sender);
    },
  ],
  [
    "the confirmation twice",
    /second answer/,
    (protocol, request) => {
      confirm(protocol, request);
      confirm(protocol, request);
    },
  ],
  [
    "a refusal after the confirmation",
    /second answer/,
    (protocol, request) => {
      confirm(protocol, request);
      protocol.channelOpenFail(request.sender, 2, "changed my mind");
    },
  ],
  [
    "a window of more than 2^32 - 1 bytes",
    /window/,
    (protocol, request) => {
      confirm(protocol, request);
      protocol.channelWindowAdjust(request.sender, 0xffff_ffff);
    },
  ],
  [
    "an answer to a channel request that nobody made",
    /request/,
    (protocol, request) => {
      confirm(protocol, request);
      sendPayload(protocol, bytesOf("\x63", request.sender));
    },
  ],
  [
    "a data message whose length is not its own",
    /cut short/,
    (protocol, request) => {
      confirm(protocol, request);
      sendPayload(protocol, bytesOf("\x5e", request.sender, 1000, "only this"));
    },
  ],
  [
    "a channel message of one byte",
    /cut short/,
    (protocol, request) => {
      confirm(protocol, request);
      sendPayload(protocol, bytesOf("\x5e"));
    },
  ],
  [
    "a confirmation that is cut short",
    /cut short/,
    (protocol, { sender }) => sendPayload(protocol, bytesOf("\x5b", sender, remoteId)),
  ],
  [
    "a packet longer than we said that we take",
    /a packet of/,
    (protocol, request) => {
      confirm(protocol, request);
      sendPayload(protocol, Buffer.alloc(400_000, 94));
    },
  ],
  [
    "a packet that fails its authentication",
    /authentication|a packet of/,
    (protocol, request, server) => {
      confirm(protocol, request);
      server.socket().write(Buffer.concat([bytesOf(64), Buffer.alloc(80, 1)]));
    },
  ],
  [
    "a message of ssh2's own that is cut short",
    /protocol|malformed/i,
    (protocol, request) => {
      confirm(protocol, request);
      sendPayload(protocol, bytesOf("\x5e", 3));
    },
  ],
];

describe("a server that breaks the protocol", { timeout: 60_000 }, () => {
  it.each(violations)("loses its connection for %s", async (_, pattern, script) => {
    const { error, end, failure, errors } = await whatBecomesOf(script);
    const reported = error ?? errors[0];
    expect(reported?.message).toMatch(pattern);
    if (error !== undefined) expect(error).toMatchObject({ code: "protocol.bad-message", leg: "hop" });
    // Where the channel was open, the client is told by a reset; else opening it failed.
    if (failure === undefined) expect(["error", "reset", "end"]).toContain(end?.reason);
    else expect(failure).toMatchObject({ code: expect.stringMatching(/protocol.bad-message|hop.lost/) });
  });

  it("loses its connection for a bad packet under a cipher that ssh2 opens", async () => {
    const { error } = await whatBecomesOf(
      (protocol, request, server) => {
        confirm(protocol, request);
        server.socket().write(Buffer.alloc(4096, 1));
      },
      { cipher: "aes128-ctr" },
    );
    expect(error).toMatchObject({ code: "protocol.bad-message" });
  });

  it("may refuse a channel in words that are not fit for a terminal", async () => {
    const { failure } = await refusalOf((protocol, { sender }) =>
      protocol.channelOpenFail(sender, 2, "\x1b]0;gotcha\x07".repeat(1000)),
    );
    expect(failure).toMatchObject({ code: "target.unreachable" });
    expect([...String(failure)].filter((character) => character < " ")).toEqual([]);
    expect(String(failure).length).toBeLessThan(2000);
  });

  it.each([
    [1, "target.forbidden"],
    [2, "target.unreachable"],
    [3, "hop.channel-refused"],
    [4, "hop.channel-refused"],
    [99, "hop.channel-refused"],
  ])("refuses a channel for reason %i, which is %s", async (reason, code) => {
    const { failure } = await refusalOf((protocol, { sender }) =>
      protocol.channelOpenFail(sender, reason, "no"),
    );
    expect(failure).toMatchObject({ code });
  });

  it("can't have packets of a few bytes", async () => {
    const { failure } = await refusalOf((protocol, request) => confirm(protocol, request, 2 ** 21, 16));
    expect(failure).toMatchObject({ code: "hop.channel-refused" });
  });

  it("that never answers is waited for no longer than told", async () => {
    await using server = await startScriptedServer(() => {});
    await using connection = await connectTo(server);
    await expect(connection.path.open(target, { timeoutMs: 20 })).rejects.toMatchObject({ code: "timeout" });
    expect(connection.path.channelCount).toBe(1);
  });

  it("that answers too late gets its channel closed", async () => {
    let answer: (() => void) | undefined;
    const closes: number[] = [];
    await using server = await startScriptedServer((protocol, request) => {
      protocol._handlers["CHANNEL_CLOSE"] = (_, id: number) => closes.push(id);
      answer = () => confirm(protocol, request);
    });
    await using connection = await connectTo(server);
    await expect(connection.path.open(target, { timeoutMs: 20 })).rejects.toMatchObject({ code: "timeout" });
    await until(() => answer !== undefined, "the request came");
    answer?.();
    await until(() => closes.length === 1, "the channel was closed");
    expect(closes).toEqual([remoteId]);
  });

  it.each([
    ["the relay is cut", { reason: "closed" }],
    ["the connection is gone", { reason: "error", error: expect.objectContaining({ code: "hop.lost" }) }],
  ])("that never lets go of a channel which has ended keeps the relay open until %s", async (how, end) => {
    let asked = 0;
    await using server = await startScriptedServer((protocol, request) => {
      protocol._handlers["CHANNEL_CLOSE"] = () => {
        asked += 1;
      };
      confirm(protocol, request);
      protocol.channelEOF(request.sender);
    });
    await using connection = await connectTo(server);
    await using listener = await listen(() => {}, { pauseOnConnect: true });
    const accepted = once(listener.server, "connection");
    const client = await dial(listener.port);
    const [socket] = await accepted;
    const relay = (await connection.path.open(target)).join(socket);
    const ends: unknown[] = [];
    const ended = relay.closed.then((reason) => ends.push(reason));
    client.resume().end("all of it");
    await once(client, "close");
    await until(() => asked === 1, "the channel was closed");
    expect(ends).toEqual([]);
    if (how === "the relay is cut") relay.cut();
    else server.socket().destroy();
    await ended;
    expect([ends, relay.bytes]).toEqual([[end], { in: 9, out: 0 }]);
  });

  it("that asks without reading the answers loses its connection", async () => {
    const { error } = await whatBecomesOf(
      (protocol, request, server) => {
        confirm(protocol, request);
        server.socket().pause();
        // keepalive@openssh.com with want_reply, until the answers fill all buffers on the way.
        const ask = bytesOf("\x62", request.sender, 9, "keepalive", "\x01".charCodeAt(0) << 24);
        const flood = () => {
          for (let count = 0; count < 500; count += 1) sendPayload(protocol, ask);
          if (!server.socket().destroyed) setImmediate(flood);
        };
        flood();
      },
      { overdueBytes: 0 },
    );
    expect(error?.message).toMatch(/does not read/);
  });
});

async function refusalOf(script: Script) {
  await using given = await relayWith(script);
  await until(() => given.relay.failures.length === 1, "the channel was refused");
  return { failure: given.relay.failures[0] };
}

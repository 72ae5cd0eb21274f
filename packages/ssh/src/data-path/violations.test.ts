import "./testing/without-addon.ts";
import { describe, expect, it } from "vitest";
import { bytesOf, type ChannelScript, confirm, remoteId, whatBecomesOf } from "./testing/one-channel.ts";
import { sendPayload } from "./testing/scripted-server.ts";

const violations: readonly [string, RegExp, ChannelScript][] = [
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

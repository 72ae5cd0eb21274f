import "./testing/without-addon.ts";
import { describe, expect, it } from "vitest";
import { connectTo } from "./testing/connection.ts";
import { type ChannelScript, confirm, target } from "./testing/one-channel.ts";
import { startScriptedServer } from "./testing/scripted-server.ts";

/** Why the channel that `script` answers the request for could not be opened; the connection survives. */
async function refusalOf(script: ChannelScript): Promise<unknown> {
  await using server = await startScriptedServer((protocol, request) => script(protocol, request, server));
  await using connection = await connectTo(server);
  return await connection.path.open(target).then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe("a server that refuses a channel", { timeout: 60_000 }, () => {
  it("may do so in words that are not fit for a terminal", async () => {
    const failure = await refusalOf((protocol, { sender }) =>
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
  ])("is told apart by its reason: %i is %s", async (reason, code) => {
    const failure = await refusalOf((protocol, { sender }) => protocol.channelOpenFail(sender, reason, "no"));
    expect(failure).toMatchObject({ code });
  });

  it("is also one that takes only packets of a few bytes", async () => {
    const failure = await refusalOf((protocol, request) => confirm(protocol, request, 2 ** 21, 16));
    expect(failure).toMatchObject({ code: "hop.channel-refused" });
  });
});

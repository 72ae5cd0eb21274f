import { once } from "node:events";
import { WindowBudget } from "../window-budget.ts";
import { type ConnectionOptions, connectTo } from "./connection.ts";
import { relayTo } from "./relay.ts";
import {
  type OpenRequest,
  type ScriptedServer,
  type ServerProtocol,
  startScriptedServer,
} from "./scripted-server.ts";
import { dial, until } from "./tcp.ts";

/** Where the one channel of these tests leads; no scripted server goes there. */
export const target = { host: "target", port: 1 };
/** The server's number of the channel. */
export const remoteId = 7;

/** How a scripted server answers the request for a channel. */
export type ChannelScript = (protocol: ServerProtocol, request: OpenRequest, server: ScriptedServer) => void;

export function confirm(
  protocol: ServerProtocol,
  { sender }: OpenRequest,
  window = 2 ** 21,
  maxPacket = 32_768,
): void {
  protocol.channelOpenConfirm(sender, remoteId, window, maxPacket);
}

/** A message: strings as they are (latin1), numbers as uint32. */
export function bytesOf(...parts: (number | string)[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === "string") return Buffer.from(part, "latin1");
      const number = Buffer.alloc(4);
      number.writeUInt32BE(part);
      return number;
    }),
  );
}

/** Lets `script` answer the request for the one channel, and resolves with how the client's side took it. */
export async function whatBecomesOf(script: ChannelScript, options: ConnectionOptions = {}) {
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

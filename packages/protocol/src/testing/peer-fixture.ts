import * as v from "valibot";
import { defineEvent, defineRequest } from "../define.ts";
import { FramedStream } from "../framed-stream.ts";
import { handle } from "../handlers.ts";
import type { WireValue } from "../message-stream.ts";
import { Peer, type PeerOptions } from "../peer.ts";
import { streamPair } from "./stream-pair.ts";

export const double = defineRequest("double", {
  asker: "orchestrator",
  since: 1,
  params: v.object({ number: v.number() }),
  result: v.object({ number: v.number() }),
});
export const wait = defineRequest("wait", {
  asker: "agent",
  since: 1,
  params: v.object({}),
  result: v.object({ text: v.string() }),
});
export const news = defineEvent("news", { sender: "agent", since: 1, data: v.object({ text: v.string() }) });

export const answerDouble = handle(double, ({ number }) => ({ number: number * 2 }));

const open: AsyncDisposable[] = [];

/** Closes what the test that ends has opened; for `afterEach`. */
export async function closeAll(): Promise<void> {
  await Promise.all(open.splice(0).map((resource) => resource[Symbol.asyncDispose]()));
}

/** Two joined peers. */
export function peerPair(a: PeerOptions = {}, b: PeerOptions = {}, highWaterMark?: number): [Peer, Peer] {
  const [one, two] = streamPair(highWaterMark);
  const peers: [Peer, Peer] = [new Peer(new FramedStream(one), a), new Peer(new FramedStream(two), b)];
  open.push(...peers);
  return peers;
}

/** A peer whose other side is the test, message by message. */
export function peerAgainst(options: PeerOptions, highWaterMark?: number): PeerAgainst {
  const [one, two] = streamPair(highWaterMark);
  const peer = new Peer(new FramedStream(one), options);
  const other = new FramedStream(two);
  open.push(peer, other);
  const messages = other.messages[Symbol.asyncIterator]();
  return { peer, other, next: async () => (await messages.next()).value };
}
export interface PeerAgainst {
  readonly peer: Peer;
  readonly other: FramedStream;
  /** The next message that the peer sends; undefined at the end. */
  readonly next: () => Promise<WireValue | undefined>;
}

/** A promise and the function that settles it. */
export function gate<T = void>(): { passed: Promise<T>; pass: (value: T) => void } {
  let pass: (value: T) => void = () => undefined;
  const passed = new Promise<T>((resolve) => {
    pass = resolve;
  });
  return { passed, pass };
}

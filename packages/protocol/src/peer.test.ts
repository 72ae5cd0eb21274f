import { expect, test } from "vitest";
import { FramedStream } from "./framed-stream.ts";
import { handle } from "./handlers.ts";
import { renewLease } from "./messages.ts";
import { Peer } from "./peer.ts";
import { streamPair } from "./testing/index.ts";

test("a request is answered", async () => {
  const [a, b] = streamPair();
  const asker = new Peer(new FramedStream(a));
  const answerer = new Peer(new FramedStream(b), {
    requests: [handle(renewLease, () => ({ openRelays: 3 }))],
  });
  expect(await asker.request(renewLease, {})).toEqual({ openRelays: 3 });
  await asker.close();
  expect(await answerer.closed).toBeUndefined();
  expect(await asker.closed).toBeUndefined();
});

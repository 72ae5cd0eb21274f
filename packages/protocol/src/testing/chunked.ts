import { Duplex, Transform, type TransformCallback } from "node:stream";

/** `stream`, of which every read brings at most `size` bytes. */
export function chunked(stream: Duplex, size: number): Duplex {
  return withReadable(
    stream,
    new Transform({
      readableHighWaterMark: size,
      transform(chunk: Buffer, _encoding, done: TransformCallback) {
        for (let at = 0; at < chunk.length; at += size) this.push(chunk.subarray(at, at + size));
        done();
      },
    }),
  );
}

/** `stream`, which ends (`how` "end") or breaks ("reset") after `bytes` bytes were read from it. */
export function cutAfter(stream: Duplex, bytes: number, how: "end" | "reset" = "end"): Duplex {
  let left = bytes;
  return withReadable(
    stream,
    new Transform({
      transform(chunk: Buffer, _encoding, done: TransformCallback) {
        if (left > 0) this.push(chunk.subarray(0, left));
        left -= chunk.length;
        if (left > 0) done();
        else if (how === "end") {
          this.push(null);
          stream.unpipe(this);
        } else this.destroy();
      },
    }),
  );
}

function withReadable(stream: Duplex, readable: Transform): Duplex {
  stream.pipe(readable);
  stream.on("close", () => {
    if (!stream.readableEnded) readable.destroy();
  });
  return Duplex.from({ readable, writable: stream });
}

import { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { CONGESTED_BYTES, SLAB_BYTES } from "./limits.ts";
import { Outbox } from "./outbox.ts";

/** A stream that takes a write only when it is told to. */
class Valve extends Writable {
  readonly written: Buffer[] = [];
  #done: (() => void) | undefined;

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.written.push(chunk);
    this.#done = done;
  }

  /** Takes what was written last; the next write comes in the same turn. */
  open(): void {
    const done = this.#done;
    this.#done = undefined;
    done?.();
  }
}

const asDuplex = (valve: Valve) => valve as never;
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("the outbox", () => {
  it("writes what one turn brings at once", async () => {
    const valve = new Valve();
    const outbox = new Outbox(asDuplex(valve));
    outbox.append(Buffer.from("one "));
    outbox.append(Buffer.from("turn"));
    expect(valve.written).toEqual([]);
    await turn();
    expect(String(valve.written)).toBe("one turn");
  });

  it("keeps what nobody waits for until the next turn, for what that brings", async () => {
    const valve = new Valve();
    const outbox = new Outbox(asDuplex(valve));
    outbox.lazily(() => outbox.append(Buffer.from("late, ")));
    await turn();
    expect(valve.written).toEqual([]);
    outbox.append(Buffer.from("with it"));
    await turn();
    expect(valve.written.splice(0).map(String)).toEqual(["late, with it"]);
    valve.open();
    outbox.lazily(() => outbox.append(Buffer.from("alone")));
    await turn();
    expect(valve.written).toEqual([]);
    await turn();
    expect(valve.written.map(String)).toEqual(["alone"]);
  });

  it("never writes over bytes that were not taken, and uses slabs again that were", async () => {
    const valve = new Valve();
    const outbox = new Outbox(asDuplex(valve));
    const slabs = new Set<Buffer>();
    let sent = 0;
    const received: number[] = [];
    const take = async () => {
      for (const chunk of valve.written.splice(0))
        for (let at = 0; at < chunk.length; at += 1000) received.push(chunk.readUInt32BE(at));
      valve.open();
      await turn();
    };
    for (let round = 0; round < 100; round += 1) {
      for (let count = 0; count < 300; count += 1) {
        const at = outbox.reserve(1000);
        outbox.slab.writeUInt32BE(sent, at);
        sent += 1;
        slabs.add(outbox.slab);
      }
      await turn();
      while (outbox.queuedBytes > 0) await take();
    }
    expect(received).toEqual(Array.from({ length: sent }, (_, index) => index));
    expect(slabs.size).toBeLessThan(6);
  });

  it("is congested until half was taken, and says so once", async () => {
    const valve = new Valve();
    const outbox = new Outbox(asDuplex(valve));
    let reliefs = 0;
    outbox.onRelief = () => {
      reliefs += 1;
    };
    expect(outbox.checkCongestion()).toBe(false);
    for (let sent = 0; sent < CONGESTED_BYTES; sent += SLAB_BYTES / 2)
      outbox.append(Buffer.alloc(SLAB_BYTES / 2));
    expect(outbox.checkCongestion()).toBe(true);
    outbox.flush();
    while (outbox.queuedBytes > 0) {
      valve.open();
      await turn();
    }
    expect(reliefs).toBe(1);
    expect(outbox.checkCongestion()).toBe(false);
  });

  it("counts what was sent since the mark", () => {
    const outbox = new Outbox(asDuplex(new Valve()));
    outbox.append(Buffer.alloc(10));
    outbox.mark();
    outbox.append(Buffer.alloc(32));
    expect(outbox.bytesSinceMark).toBe(32);
  });

  it("drops what can't be written any more", async () => {
    const valve = new Valve();
    const outbox = new Outbox(asDuplex(valve));
    valve.destroy();
    for (let count = 0; count < 10; count += 1) outbox.append(Buffer.alloc(SLAB_BYTES));
    await turn();
    expect(valve.written).toEqual([]);
    expect(outbox.queuedBytes).toBe(0);
  });
});

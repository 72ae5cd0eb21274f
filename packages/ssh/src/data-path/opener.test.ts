import "./testing/without-addon.ts";
import { createRequire } from "node:module";
import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { GcmOpener } from "./gcm-opener.ts";
import { GcmSealer } from "./gcm-sealer.ts";
import { betterOpener, type Opener, openerFor } from "./opener.ts";
import { Outbox } from "./outbox.ts";
import { HEAD_ROOM, TAIL_ROOM } from "./sealer.ts";
import { Ssh2Opener } from "./ssh2-opener.ts";
import type { Ssh2Decipher } from "./ssh2-shape.ts";

const { createDecipher, CIPHER_INFO } = createRequire(import.meta.url)("ssh2/lib/protocol/crypto.js");
const key = Buffer.alloc(16, 1);

function ssh2Decipher(): Ssh2Decipher {
  return createDecipher({
    inbound: {
      onPayload: () => undefined,
      seqno: 5,
      decipherInfo: CIPHER_INFO["aes128-gcm@openssh.com"],
      decipherKey: key,
      decipherIV: Buffer.alloc(12, 2),
      forceNative: true,
    },
  });
}

/** Packets with the given data, one after the other. */
function packets(...data: Buffer[]): Buffer {
  const stream = new PassThrough({ highWaterMark: 2 ** 30 });
  const outbox = new Outbox(stream);
  const sealer = new GcmSealer({ name: "aes-128-gcm", key, iv: Buffer.alloc(12, 2) }, 0, outbox, () => {});
  for (const bytes of data) {
    const room = Buffer.concat([Buffer.alloc(HEAD_ROOM), bytes, Buffer.alloc(TAIL_ROOM)]);
    sealer.sealData(1, room, HEAD_ROOM, HEAD_ROOM + bytes.length);
  }
  outbox.flush();
  return stream.read();
}

function run(opener: Opener, bytes: Buffer, isLast = false): { payloads: Buffer[]; end: number } {
  const payloads: Buffer[] = [];
  const end = opener.run(bytes, 0, bytes.length, (plain, from, to) => {
    payloads.push(Buffer.from(plain.subarray(from + 9, to)));
    return isLast;
  });
  return { payloads, end };
}

describe("the opener of a connection that is taken over", () => {
  it("is our own for AES-GCM between two packets, and goes on counting", () => {
    const opener = openerFor(ssh2Decipher());
    expect(opener).toBeInstanceOf(GcmOpener);
    const bytes = packets(Buffer.from("one"), Buffer.from("two"));
    expect(run(opener, bytes)).toEqual({
      payloads: [Buffer.from("one"), Buffer.from("two")],
      end: bytes.length,
    });
    expect(opener.inSeqno).toBe(7);
  });

  it.each([1, 4, 20, 1000])(
    "is ssh2's while a packet of which it has %i bytes is not whole, then our own",
    (had) => {
      const first = Buffer.alloc(2000, 3);
      const bytes = packets(first, Buffer.from("second"), Buffer.from("third"));
      const decipher = ssh2Decipher();
      decipher.decrypt(Buffer.from(bytes.subarray(0, had)), 0, had);
      const opener = openerFor(decipher);
      expect(opener).toBeInstanceOf(Ssh2Opener);
      expect(betterOpener(opener)).toBe(opener);
      const onPayload = () => undefined;
      opener._onPayload = onPayload;
      const { payloads, end } = run(opener, bytes.subarray(had), true);
      expect(payloads).toEqual([first]);
      const better = betterOpener(opener);
      expect(better).toBeInstanceOf(GcmOpener);
      expect(better._onPayload).toBe(onPayload);
      expect(betterOpener(better)).toBe(better);
      expect(run(better, bytes.subarray(had + end)).payloads).toEqual([
        Buffer.from("second"),
        Buffer.from("third"),
      ]);
      expect(better.inSeqno).toBe(8);
    },
  );

  it("stops behind the packet after which it was told to", () => {
    const bytes = packets(Buffer.from("one"), Buffer.from("two"));
    for (const opener of [openerFor(ssh2Decipher()), new Ssh2Opener(ssh2Decipher())]) {
      const { payloads, end } = run(opener, bytes, true);
      expect(payloads).toEqual([Buffer.from("one")]);
      expect(end).toBe(bytes.length / 2);
    }
  });

  it("is none for something that is no decipher", () => {
    expect(() => openerFor({} as Ssh2Decipher)).toThrow(/another shape/u);
  });
});

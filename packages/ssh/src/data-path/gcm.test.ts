import { createCipheriv, randomBytes } from "node:crypto";
import { PassThrough } from "node:stream";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { countUp } from "./gcm-counter.ts";
import { GcmOpener } from "./gcm-opener.ts";
import { GcmSealer } from "./gcm-sealer.ts";
import { Outbox } from "./outbox.ts";
import { HEAD_ROOM, TAIL_ROOM } from "./sealer.ts";
import type { GcmKeys } from "./ssh2-shape.ts";

const name = "aes-128-gcm";
const key = Buffer.alloc(16, 7);
const keys = (): GcmKeys => ({ name, key, iv: Buffer.alloc(12, 3) });

/** What a sealer writes when `seal` is done. */
function sealed(seal: (sealer: GcmSealer) => void): Buffer {
  const stream = new PassThrough({ highWaterMark: 2 ** 30 });
  const outbox = new Outbox(stream);
  seal(new GcmSealer(keys(), 0, outbox, () => {}));
  outbox.flush();
  return stream.read() ?? Buffer.alloc(0);
}

/** The payloads in `bytes` when they are read in pieces of `step`. */
function opened(bytes: Buffer, step: number, opener = new GcmOpener(keys(), 0, () => undefined)): Buffer[] {
  const payloads: Buffer[] = [];
  let start = 0;
  for (let end = Math.min(step, bytes.length); ; end = Math.min(end + step, bytes.length)) {
    start = opener.run(bytes, start, end, (plain, from, to) => {
      payloads.push(Buffer.from(plain.subarray(from, to)));
      return false;
    });
    if (end === bytes.length) return payloads;
  }
}

function roomy(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.alloc(HEAD_ROOM, 1), payload, Buffer.alloc(TAIL_ROOM, 2)]);
}

describe("AES-GCM packets", () => {
  it("opened are what was sealed, for any payload and any reads", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 3000 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 5000 }),
        (payloads, step) => {
          const bytes = sealed((sealer) => {
            for (const payload of payloads) {
              const buffer = roomy(Buffer.from(payload));
              sealer.sealData(258, buffer, HEAD_ROOM, HEAD_ROOM + payload.length);
              expect(buffer.subarray(HEAD_ROOM + payload.length)).toEqual(Buffer.alloc(TAIL_ROOM, 2));
            }
          });
          const expected = payloads.map((payload) => {
            const header = Buffer.from([94, 0, 0, 1, 2, 0, 0, 0, 0]);
            header.writeUInt32BE(payload.length, 5);
            return Buffer.concat([header, payload]);
          });
          expect(opened(bytes, step)).toEqual(expected);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("leaves the next payload in the buffer as it is", () => {
    const payload = randomBytes(100_000);
    const buffer = roomy(payload);
    const bytes = sealed((sealer) => {
      for (let at = 0; at < payload.length; at += 1000)
        sealer.sealData(1, buffer, HEAD_ROOM + at, HEAD_ROOM + at + 1000);
    });
    const data = opened(bytes, bytes.length).map((message) => message.subarray(9));
    expect(Buffer.concat(data).equals(payload)).toBe(true);
  });

  it("seals ssh2's packets and counts them", () => {
    let sealer: GcmSealer | undefined;
    const bytes = sealed((made) => {
      sealer = made;
      const packet = made.allocPacket(5);
      packet.set([80, 1, 2, 3, 4], 5);
      made.encrypt(packet);
    });
    expect(opened(bytes, 10)).toEqual([Buffer.from([80, 1, 2, 3, 4])]);
    expect(sealer?.outSeqno).toBe(1);
    expect(bytes.length % 16).toBe(4);
  });

  it("seals nothing once it is freed", () => {
    const bytes = sealed((sealer) => {
      sealer.free();
      sealer.encrypt(sealer.allocPacket(1));
      sealer.sealData(1, roomy(Buffer.alloc(1)), HEAD_ROOM, HEAD_ROOM + 1);
    });
    expect(bytes).toHaveLength(0);
  });

  it("are refused when a bit of them was changed", () => {
    const bytes = sealed((sealer) => sealer.sealData(1, roomy(Buffer.alloc(64)), HEAD_ROOM, HEAD_ROOM + 64));
    for (const at of [5, 20, bytes.length - 1]) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => opened(changed, changed.length)).toThrow(/authentication/u);
    }
  });

  it.each([0, 8, 17, 2 ** 31, 0xffff_fff0])(
    "of %i bytes are refused before anything is waited for",
    (length) => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(length);
      expect(() => opened(bytes, 4)).toThrow(/a packet of/u);
    },
  );

  it("are refused when they are nothing but padding and say more", () => {
    const cipher = createCipheriv(name, key, Buffer.alloc(12, 3));
    const length = Buffer.from([0, 0, 0, 16]);
    cipher.setAAD(length);
    const body = cipher.update(Buffer.alloc(16, 200));
    cipher.final();
    expect(() => opened(Buffer.concat([length, body, cipher.getAuthTag()]), 36)).toThrow(/padding/u);
  });

  it("count their invocations over every byte", () => {
    const iv = Buffer.from("01020304ffffffffffffffff", "hex");
    countUp(iv);
    expect(iv.toString("hex")).toBe("010203040000000000000000");
    countUp(iv);
    expect(iv.toString("hex")).toBe("010203040000000000000001");
  });
});

import { createCipheriv, createSecretKey } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { countUp } from "./gcm-counter.ts";
import { Ghash } from "./ghash.ts";
import { SHORT_BYTES, ShortGcm } from "./short-gcm.ts";

const names = ["aes-128-gcm", "aes-256-gcm"] as const;
type Name = (typeof names)[number];

const keyOf = (name: Name, seed: Uint8Array) => Buffer.from(seed.subarray(0, name === names[0] ? 16 : 32));

/** The packet with its tag, as node:crypto makes it. */
function expected(name: Name, key: Buffer, iv: Buffer, plain: Buffer): Buffer {
  const cipher = createCipheriv(name, key, iv);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(plain.length);
  cipher.setAAD(length);
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

const anyKey = fc.record({
  name: fc.constantFrom(...names),
  seed: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  iv: fc.uint8Array({ minLength: 12, maxLength: 12 }),
});
const anyPackets = fc.array(
  fc.record({
    blocks: fc.integer({ min: 1, max: SHORT_BYTES / 16 }),
    /** Packets in between that somebody else seals. */
    skipped: fc.nat({ max: 20 }),
    bytes: fc.uint8Array({ minLength: SHORT_BYTES, maxLength: SHORT_BYTES }),
  }),
  { minLength: 1, maxLength: 40 },
);

describe("AES-GCM of short packets", () => {
  it("hashes as the vector of the specification", () => {
    const ghash = new Ghash(Buffer.from("66e94bd4ef8a2c3b884cfa59ca342b2e", "hex"));
    ghash.block(Buffer.from("0388dace60b6a392f328c2b971b2fe78", "hex"), 0);
    ghash.words(128, 0, 0, 0);
    const hash = Buffer.alloc(16);
    for (const [index, word] of ghash.state.entries()) hash.writeInt32BE(word, 12 - 4 * index);
    expect(hash.toString("hex")).toBe("f38cbb1ad69223dcc3457ae5b6b0f885");
  });

  it("is node:crypto's, for any key, IV, length and order", () => {
    fc.assert(
      fc.property(anyKey, anyPackets, ({ name, seed, iv }, packets) => {
        const key = keyOf(name, seed);
        const sealer = new ShortGcm(name, createSecretKey(key));
        const opener = new ShortGcm(name, createSecretKey(key));
        const counter = Buffer.from(iv);
        for (const { blocks, skipped, bytes } of packets) {
          for (let skip = 0; skip < skipped; skip += 1) countUp(counter);
          const plain = Buffer.from(bytes.subarray(0, blocks * 16));
          const made = Buffer.alloc(plain.length + 16 + 2, 0xee);
          sealer.seal(counter, plain, 0, plain.length, made, 1);
          const wanted = expected(name, key, counter, plain);
          expect(made.subarray(1, -1).equals(wanted)).toBe(true);
          expect([made[0], made.at(-1)]).toEqual([0xee, 0xee]);
          const opened = Buffer.alloc(plain.length);
          expect(opener.open(counter, made, 1, 1 + plain.length, opened)).toBe(true);
          expect(opened.equals(plain)).toBe(true);
          countUp(counter);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("goes on where the counter's last four bytes, and all of it, begin again", () => {
    for (const start of ["01020304000000ffffffffff", "01020304fffffffffffffffe"]) {
      const key = Buffer.alloc(16, 9);
      const gcm = new ShortGcm("aes-128-gcm", createSecretKey(key));
      const counter = Buffer.from(start, "hex");
      for (let packet = 0; packet < 40; packet += 1) {
        const plain = Buffer.alloc(32, packet);
        const made = Buffer.alloc(48);
        gcm.seal(counter, plain, 0, 32, made, 0);
        expect(made.equals(expected("aes-128-gcm", key, counter, plain))).toBe(true);
        countUp(counter);
      }
    }
  });

  it("has another key stream for a counter that differs in its upper half alone", () => {
    const key = Buffer.alloc(16, 9);
    const gcm = new ShortGcm("aes-128-gcm", createSecretKey(key));
    for (const iv of ["010203040000000000000005", "010203040000000100000005", "110203040000000100000005"]) {
      const made = Buffer.alloc(32);
      const counter = Buffer.from(iv, "hex");
      gcm.seal(counter, Buffer.alloc(16), 0, 16, made, 0);
      expect(made.equals(expected("aes-128-gcm", key, counter, Buffer.alloc(16)))).toBe(true);
    }
  });

  it("refuses a packet of which any bit was changed, and decrypts nothing of it", () => {
    const key = createSecretKey(Buffer.alloc(16, 9));
    const iv = Buffer.alloc(12, 1);
    const made = Buffer.alloc(48);
    new ShortGcm("aes-128-gcm", key).seal(iv, Buffer.alloc(32, 5), 0, 32, made, 0);
    const gcm = new ShortGcm("aes-128-gcm", key);
    for (let bit = 0; bit < made.length * 8; bit += 1) {
      const changed = Buffer.from(made);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const opened = Buffer.alloc(32);
      expect(gcm.open(iv, changed, 0, 32, opened)).toBe(false);
      expect(opened.equals(Buffer.alloc(32))).toBe(true);
    }
    expect(gcm.open(iv, made, 0, 32, Buffer.alloc(32))).toBe(true);
  });
});

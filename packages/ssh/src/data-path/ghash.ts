/** Every fourth bit: the holes in between take the carries of an integer product, which leaves a carry-less one. */
const lanes = [0x1111_1111, 0x2222_2222, 0x4444_4444, 0x8888_8888 | 0] as const;
/** Products of 32 bits that make one of 128: nine by Karatsuba's rule, and nine of the bits in reverse for their upper halves. */
const products = 18;

/**
 * GHASH (NIST SP 800-38D, 6.4) for a handful of blocks. The way of BearSSL's `ghash_ctmul32`: no tables and no branches that
 * depend on what is secret, so that its timing tells nothing of the key.
 */
export class Ghash {
  /** The hash so far, the first word of a block last. */
  readonly state: Int32Array = new Int32Array(4);
  /** The key's factor of each product, by lanes. */
  readonly #key = new Int32Array(4 * products);
  readonly #factors = new Int32Array(products);

  /** `key`: 16 bytes, the cipher's block of zeros. */
  constructor(key: Buffer) {
    for (let word = 0; word < 4; word += 1) this.#factors[word] = key.readInt32BE(12 - 4 * word);
    this.#spread();
    for (let product = 0; product < products; product += 1)
      for (let lane = 0; lane < 4; lane += 1)
        this.#key[4 * product + lane] = (this.#factors[product] ?? 0) & (lanes[lane] ?? 0);
  }

  /** Takes the 16 bytes at `bytes[at]`. */
  block(bytes: Buffer, at: number): void {
    this.words(
      bytes.readInt32BE(at + 12),
      bytes.readInt32BE(at + 8),
      bytes.readInt32BE(at + 4),
      bytes.readInt32BE(at),
    );
  }

  /** Takes a block as four words, the last one first. */
  words(w0: number, w1: number, w2: number, w3: number): void {
    const { state } = this;
    const c = this.#factors;
    c[0] = w0 ^ (state[0] as number);
    c[1] = w1 ^ (state[1] as number);
    c[2] = w2 ^ (state[2] as number);
    c[3] = w3 ^ (state[3] as number);
    this.#spread();
    this.#multiply();
    const c0 = c[0] as number;
    const c1 = c[1] as number;
    const c2 = c[2] as number;
    const c3 = c[3] as number;
    const c4 = (c[4] as number) ^ c0 ^ c1;
    const c5 = (c[5] as number) ^ c2 ^ c3;
    const c6 = c[6] as number;
    const c7 = c[7] as number;
    const c8 = (c[8] as number) ^ c6 ^ c7;
    const r0 = c[9] as number;
    const r1 = c[10] as number;
    const r2 = c[11] as number;
    const r3 = c[12] as number;
    const r4 = (c[13] as number) ^ r0 ^ r1;
    const r5 = (c[14] as number) ^ r2 ^ r3;
    const r6 = c[15] as number;
    const r7 = c[16] as number;
    const r8 = (c[17] as number) ^ r6 ^ r7;
    const d0 = c0;
    const d1 = c4 ^ upper(r0);
    const d2 = c1 ^ c0 ^ c2 ^ c6 ^ upper(r4);
    const d3 = c4 ^ c5 ^ c8 ^ upper(r1 ^ r0 ^ r2 ^ r6);
    const d4 = c2 ^ c1 ^ c3 ^ c7 ^ upper(r4 ^ r5 ^ r8);
    const d5 = c5 ^ upper(r2 ^ r1 ^ r3 ^ r7);
    const d6 = c3 ^ upper(r5);
    const d7 = upper(r3);
    // Bits stand in reverse in a block: the product of 255 is one short. Then the reduction, a word at a time.
    const z0 = d0 << 1;
    const z1 = (d1 << 1) | (d0 >>> 31);
    const z2 = (d2 << 1) | (d1 >>> 31);
    const z3 = ((d3 << 1) | (d2 >>> 31)) ^ carried(z0);
    state[0] = ((d4 << 1) | (d3 >>> 31)) ^ folded(z0) ^ carried(z1);
    state[1] = ((d5 << 1) | (d4 >>> 31)) ^ folded(z1) ^ carried(z2);
    state[2] = ((d6 << 1) | (d5 >>> 31)) ^ folded(z2) ^ carried(z3);
    state[3] = ((d7 << 1) | (d6 >>> 31)) ^ folded(z3);
  }

  /** The 18 factors out of the first four. */
  #spread(): void {
    const a = this.#factors;
    for (let word = 0; word < 4; word += 1) a[9 + word] = reversed(a[word] as number);
    for (const at of [0, 9]) {
      a[at + 4] = (a[at] as number) ^ (a[at + 1] as number);
      a[at + 5] = (a[at + 2] as number) ^ (a[at + 3] as number);
      a[at + 6] = (a[at] as number) ^ (a[at + 2] as number);
      a[at + 7] = (a[at + 1] as number) ^ (a[at + 3] as number);
      a[at + 8] = (a[at + 6] as number) ^ (a[at + 7] as number);
    }
  }

  /** Each factor times the key's, the lower half. */
  #multiply(): void {
    const factors = this.#factors;
    const key = this.#key;
    const [m0, m1, m2, m3] = lanes;
    const { imul } = Math;
    for (let at = 0; at < products; at += 1) {
      const x = factors[at] as number;
      const x0 = x & m0;
      const x1 = x & m1;
      const x2 = x & m2;
      const x3 = x & m3;
      const y0 = key[4 * at] as number;
      const y1 = key[4 * at + 1] as number;
      const y2 = key[4 * at + 2] as number;
      const y3 = key[4 * at + 3] as number;
      factors[at] =
        ((imul(x0, y0) ^ imul(x1, y3) ^ imul(x2, y2) ^ imul(x3, y1)) & m0) |
        ((imul(x0, y1) ^ imul(x1, y0) ^ imul(x2, y3) ^ imul(x3, y2)) & m1) |
        ((imul(x0, y2) ^ imul(x1, y1) ^ imul(x2, y0) ^ imul(x3, y3)) & m2) |
        ((imul(x0, y3) ^ imul(x1, y2) ^ imul(x2, y1) ^ imul(x3, y0)) & m3);
    }
  }
}

/** The upper half of a product, out of that of the reversed factors. */
function upper(product: number): number {
  return reversed(product) >>> 1;
}

/** What a word of the lower half adds to the one four places up, by x^128 = x^7 + x^2 + x + 1. */
function folded(word: number): number {
  return word ^ (word >>> 1) ^ (word >>> 2) ^ (word >>> 7);
}

/** What goes into the one three places up. */
function carried(word: number): number {
  return (word << 31) ^ (word << 30) ^ (word << 25);
}

function reversed(word: number): number {
  let x = ((word & 0x5555_5555) << 1) | ((word >>> 1) & 0x5555_5555);
  x = ((x & 0x3333_3333) << 2) | ((x >>> 2) & 0x3333_3333);
  x = ((x & 0x0f0f_0f0f) << 4) | ((x >>> 4) & 0x0f0f_0f0f);
  x = ((x & 0x00ff_00ff) << 8) | ((x >>> 8) & 0x00ff_00ff);
  return (x << 16) | (x >>> 16);
}

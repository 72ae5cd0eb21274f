import type { SeededRandom } from "./seeded-random.ts";

const INTERESTING = [0, 1, 0x7f, 0x80, 0xff, 0x20, 0x0a, 0x0d, 0x25, 0x3a, 0x2f, 0x5b, 0x5d, 0x40, 0x2c];

/** `input` with one to eight changes; `others` are spliced in, `words` put in. At most `longest` bytes. */
export function mutate(
  input: Buffer,
  random: SeededRandom,
  { others, words, longest }: { others: readonly Buffer[]; words: readonly Buffer[]; longest: number },
): Buffer {
  let bytes = Buffer.from(input);
  for (let changes = random.pick([1, 1, 2, 4, 8]); changes > 0; changes -= 1) {
    const at = random.below(bytes.length + 1);
    const length = 1 + random.below(Math.min(32, Math.max(1, bytes.length - at)));
    const put = (piece: Buffer, over: number) =>
      Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(Math.min(bytes.length, at + over))]);
    switch (random.below(9)) {
      case 0:
        bytes = put(Buffer.of((bytes[at] ?? 0) ^ (1 << random.below(8))), 1);
        break;
      case 1:
        bytes = put(Buffer.of(random.below(256)), 1);
        break;
      case 2:
        bytes = put(Buffer.of(random.pick(INTERESTING)), random.below(2));
        break;
      case 3:
        bytes = put(Buffer.of(((bytes[at] ?? 0) + random.below(17) - 8) & 0xff), 1);
        break;
      case 4:
        bytes = put(Buffer.alloc(0), length);
        break;
      case 5:
        bytes = put(bytes.subarray(at, at + length), 0);
        break;
      case 6:
        bytes = put(random.bytes(random.pick([1, 2, 4, 8])), random.below(2) * 4);
        break;
      case 7:
        if (words.length > 0) bytes = put(random.pick(words), random.below(2) * length);
        break;
      default: {
        const other = random.pick(others);
        const from = random.below(other.length + 1);
        bytes = put(other.subarray(from, from + 1 + random.below(64)), random.below(2) * length);
      }
    }
  }
  return bytes.subarray(0, longest);
}

import { open } from "node:fs/promises";
import type { RuntimeNeeds } from "./runtime-facts.ts";

const MACHINES: Readonly<Record<number, string>> = { 62: "x86_64", 183: "aarch64" };
const PT_INTERP = 3;
const HEADER_BYTES = 4096;
const MAX_INTERPRETER_BYTES = 256;

/**
 * What the program at `path` needs of a host, by its ELF header (64 bit, little-endian): its machine, and the C library whose loader
 * it names. Undefined for a file that is none of those. Rejects where it can't be read.
 */
export async function elfNeeds(path: string): Promise<RuntimeNeeds | undefined> {
  const file = await open(path);
  try {
    const head = Buffer.alloc(HEADER_BYTES);
    const { bytesRead } = await file.read(head, 0, HEADER_BYTES, 0);
    if (bytesRead < 64 || head.readUInt32BE(0) !== 0x7f454c46 || head[4] !== 2 || head[5] !== 1)
      return undefined;
    const machine = MACHINES[head.readUInt16LE(18)];
    const [offset, size, count] = [head.readBigUInt64LE(32), head.readUInt16LE(54), head.readUInt16LE(56)];
    for (let index = 0; index < count; index += 1) {
      const at = Number(offset) + index * size;
      if (at + 56 > bytesRead) break;
      if (head.readUInt32LE(at) !== PT_INTERP) continue;
      const length = Math.min(Number(head.readBigUInt64LE(at + 32)), MAX_INTERPRETER_BYTES);
      const name = Buffer.alloc(length);
      await file.read(name, 0, length, Number(head.readBigUInt64LE(at + 8)));
      const libc = name.toString("latin1").includes("ld-musl-") ? "musl" : "glibc";
      return machine === undefined ? undefined : { machine, libc };
    }
    return undefined;
  } finally {
    await file.close();
  }
}

import type { ChannelSlot } from "./channel-host.ts";

/** Our channel numbers begin here; those below are ssh2's. */
export const FIRST_CHANNEL = 0x4000_0000;

/** Which of our channel numbers stands for what. A number is used again only when the server can't mean the old one. */
export class ChannelTable {
  readonly #slots: (ChannelSlot | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#slots.length - this.#free.length;
  }

  reserve(): number {
    return FIRST_CHANNEL + (this.#free.pop() ?? this.#slots.push(undefined) - 1);
  }

  set(id: number, slot: ChannelSlot): void {
    this.#slots[id - FIRST_CHANNEL] = slot;
  }

  get(id: number): ChannelSlot | undefined {
    return this.#slots[id - FIRST_CHANNEL];
  }

  free(id: number): void {
    const index = id - FIRST_CHANNEL;
    if (this.#slots[index] === undefined) return;
    this.#slots[index] = undefined;
    this.#free.push(index);
  }

  *[Symbol.iterator](): Iterator<ChannelSlot> {
    for (const slot of [...this.#slots]) if (slot !== undefined) yield slot;
  }
}

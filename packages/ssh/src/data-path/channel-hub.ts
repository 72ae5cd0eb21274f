import type { CodedError } from "@farside/protocol/errors";
import type { ChannelHost } from "./channel-host.ts";
import { ChannelOpening, type ChannelTarget, type OpeningEvents } from "./channel-opening.ts";
import { ChannelTable, FIRST_CHANNEL } from "./channel-table.ts";
import { FastChannel } from "./fast-channel.ts";
import { LARGE_READERS, MAX_CHANNELS } from "./limits.ts";
import type { Outbox } from "./outbox.ts";
import { ReliefQueue } from "./relief-queue.ts";
import { RoundTrip } from "./round-trip.ts";
import type { Sealer } from "./sealer.ts";
import type { Ssh2Protocol } from "./ssh2-shape.ts";
import type { Transport } from "./transport.ts";
import { violation } from "./violation.ts";
import type { WindowBudget } from "./window-budget.ts";

/** The channels of one connection and what they share of it. */
export class ChannelHub implements ChannelHost {
  readonly windows: WindowBudget;
  readonly roundTrip: RoundTrip = new RoundTrip();
  readonly #transport: Transport;
  readonly #table = new ChannelTable();
  readonly #relief: ReliefQueue;
  #runner: FastChannel | undefined;
  #largeReaders = 0;

  constructor(transport: Transport, windows: WindowBudget) {
    this.#transport = transport;
    this.windows = windows;
    this.#relief = new ReliefQueue(() => transport.outbox.checkCongestion());
    transport.outbox.onRelief = this.#relief.relieve;
  }

  get outbox(): Outbox {
    return this.#transport.outbox;
  }

  get sealer(): Sealer {
    return this.#transport.sealer;
  }

  get maxReceivedPayload(): number {
    return this.#transport.maxReceivedPayload;
  }

  get isExchangingKeys(): boolean {
    return this.#transport.isExchangingKeys;
  }

  /** Channel numbers in use, also those of channels whose end the server has not confirmed. */
  get size(): number {
    return this.#table.size;
  }

  /** Asks for a channel; undefined when there are too many. */
  open(target: ChannelTarget, events: OpeningEvents): ChannelOpening | undefined {
    if (this.#table.size >= MAX_CHANNELS) return undefined;
    const id = this.#table.reserve();
    const opening = new ChannelOpening(this, id, target, (slot) => this.#table.set(id, slot), events);
    this.#table.set(id, opening);
    return opening;
  }

  message(type: number, id: number, bytes: Buffer, from: number, to: number): void {
    const slot = this.#table.get(id);
    if (slot === undefined)
      throw violation(`a message for channel ${id - FIRST_CHANNEL}, which does not exist`);
    if (slot !== this.#runner) this.endRun();
    slot.receive(type, bytes, from, to);
  }

  endRun(): void {
    const runner = this.#runner;
    this.#runner = undefined;
    runner?.endRun();
  }

  keysExchanged(): void {
    for (const slot of this.#table) if (slot instanceof FastChannel) slot.pump();
  }

  lost(reason: CodedError): void {
    this.#runner = undefined;
    this.#relief.clear();
    for (const slot of this.#table) slot.lost(reason);
  }

  control(send: (protocol: Ssh2Protocol) => void): void {
    this.#transport.control(send);
  }

  startRun(channel: FastChannel): void {
    this.#runner = channel;
  }

  waitForRelief(pump: () => void): void {
    this.#relief.add(pump);
  }

  takeLargeRead(): boolean {
    if (this.#largeReaders >= LARGE_READERS) return false;
    this.#largeReaders += 1;
    return true;
  }

  giveLargeReadBack(): void {
    this.#largeReaders -= 1;
  }

  free(id: number): void {
    this.#table.free(id);
  }
}

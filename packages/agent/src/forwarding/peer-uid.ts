import { ProcNetOwners } from "./proc-net-owners.ts";
import type { ConnectionAddresses, SocketOwner, SocketOwners } from "./socket-owner.ts";

/** Connections with which a fast source may show that it says what /proc says. */
const TRIALS = 5;

export interface PeerUidOptions {
  /** What always works; owned. */
  readonly tables?: SocketOwners;
  /** Starts the faster source; it is called after the first connection was looked up. */
  readonly startFast?: (() => SocketOwners) | undefined;
  /** Hears why the fast source is not used (any more). */
  readonly onFallback?: ((why: string) => void) | undefined;
}

type Fast =
  | { readonly phase: "untried" | "none" }
  | { readonly phase: "on-trial"; readonly owners: SocketOwners; trialsLeft: number; isAsking: boolean }
  | { readonly phase: "trusted"; readonly owners: SocketOwners };

/**
 * Says whose a local TCP connection is. /proc answers until the fast source has agreed with it on a connection, and for
 * good as soon as that source fails in any way: a failure costs time, never an answer.
 */
export class PeerUidLookup {
  readonly #tables: SocketOwners;
  readonly #options: PeerUidOptions;
  #fast: Fast;
  #isClosed = false;

  constructor(options: PeerUidOptions = {}) {
    this.#options = options;
    this.#tables = options.tables ?? new ProcNetOwners();
    this.#fast = { phase: options.startFast === undefined ? "none" : "untried" };
  }

  /** The uid that holds the client's socket; undefined where nobody does (any more), or it can't be known. Never rejects. */
  async uidOf(addresses: ConnectionAddresses): Promise<number | undefined> {
    const owner = await this.#ownerOf(addresses).catch(() => undefined);
    return typeof owner === "number" ? owner : undefined;
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const fast = this.#fast;
    this.#fast = { phase: "none" };
    await Promise.all([this.#tables.close(), "owners" in fast ? fast.owners.close() : undefined]);
  }

  async #ownerOf(addresses: ConnectionAddresses): Promise<SocketOwner> {
    const fast = this.#fast;
    if (fast.phase === "trusted") {
      try {
        const owner = await fast.owners.ownerOf(addresses);
        // A socket that is bound to a device is only found in the tables.
        if (owner !== "missing") return owner;
      } catch (error) {
        this.#giveUp(fast, (error as Error).message);
      }
    }
    const owner = await this.#tables.ownerOf(addresses);
    if (typeof owner === "number") void this.#try(addresses, owner);
    return owner;
  }

  /** Asks a source that is not trusted yet about a connection whose owner is known. */
  async #try(addresses: ConnectionAddresses, known: number): Promise<void> {
    const fast = this.#onTrial();
    if (fast === undefined || fast.isAsking) return;
    fast.isAsking = true;
    fast.trialsLeft -= 1;
    try {
      const told = await fast.owners.ownerOf(addresses);
      fast.isAsking = false;
      if (this.#fast !== fast) return;
      if (told === known) this.#fast = { phase: "trusted", owners: fast.owners };
      else if (typeof told === "number") this.#giveUp(fast, `it says uid ${told}, /proc says ${known}`);
      // The client may have gone meanwhile.
      else if (fast.trialsLeft === 0) this.#giveUp(fast, "it finds no connection");
    } catch (error) {
      this.#giveUp(fast, (error as Error).message);
    }
  }

  #onTrial(): (Fast & { phase: "on-trial" }) | undefined {
    const { startFast } = this.#options;
    if (this.#fast.phase === "untried" && startFast !== undefined && !this.#isClosed) {
      try {
        this.#fast = { phase: "on-trial", owners: startFast(), trialsLeft: TRIALS, isAsking: false };
      } catch (error) {
        this.#fast = { phase: "none" };
        this.#options.onFallback?.((error as Error).message);
      }
    }
    return this.#fast.phase === "on-trial" ? this.#fast : undefined;
  }

  #giveUp(fast: Fast & { owners: SocketOwners }, why: string): void {
    if (this.#fast !== fast) return;
    this.#fast = { phase: "none" };
    void fast.owners.close().catch(() => undefined);
    this.#options.onFallback?.(why);
  }
}

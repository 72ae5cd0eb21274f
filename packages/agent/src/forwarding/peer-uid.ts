import { ProcNetOwners } from "./proc-net-owners.ts";
import type { ConnectionAddresses, SocketOwner, SocketOwners } from "./socket-owner.ts";

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
  | { readonly phase: "starting" | "on-trial" | "trusted"; readonly owners: SocketOwners };

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

  /**
   * The uid that holds the client's socket; undefined where nobody does (any more), or it can't be known. At once where
   * the fast source answers at once. Never throws or rejects.
   */
  uidOf(addresses: ConnectionAddresses): number | undefined | Promise<number | undefined> {
    const fast = this.#fast;
    if (fast.phase !== "trusted") return this.#slowly(addresses);
    try {
      const owner = fast.owners.ownerOf(addresses);
      // A socket that is bound to a device is only found in the tables.
      if (typeof owner === "object" || owner === "missing") return this.#slowly(addresses, owner);
      return uidFrom(owner);
    } catch (error) {
      this.#giveUp(fast, (error as Error).message);
      return this.#slowly(addresses);
    }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const fast = this.#fast;
    this.#fast = { phase: "none" };
    await Promise.all([this.#tables.close(), "owners" in fast ? fast.owners.close() : undefined]);
  }

  /** By the tables, unless what the fast source was asked `already` says more than that it is missing. */
  async #slowly(
    addresses: ConnectionAddresses,
    already?: "missing" | Promise<SocketOwner>,
  ): Promise<number | undefined> {
    const fast = this.#fast;
    try {
      const owner = await already;
      if (owner !== undefined && owner !== "missing") return uidFrom(owner);
    } catch (error) {
      if (fast.phase === "trusted") this.#giveUp(fast, (error as Error).message);
    }
    return await this.#byTables(addresses).then(uidFrom, () => undefined);
  }

  async #byTables(addresses: ConnectionAddresses): Promise<SocketOwner> {
    const owner = await this.#tables.ownerOf(addresses);
    if (typeof owner !== "number") return owner;
    if (this.#fast.phase === "untried") void this.#start(addresses);
    else if (this.#fast.phase === "on-trial") await this.#compare(this.#fast, addresses, owner);
    return owner;
  }

  /** Starts the fast source. By its first answer it is up, whatever it says: the connection may be over by then. */
  async #start(addresses: ConnectionAddresses): Promise<void> {
    const { startFast } = this.#options;
    if (startFast === undefined || this.#isClosed) return;
    let fast: Fast = { phase: "none" };
    try {
      const owners = startFast();
      fast = { phase: "starting", owners };
      this.#fast = fast;
      await owners.ownerOf(addresses);
      if (this.#fast === fast) this.#fast = { phase: "on-trial", owners };
    } catch (error) {
      if ("owners" in fast) this.#giveUp(fast, (error as Error).message);
      else {
        this.#fast = fast;
        this.#options.onFallback?.((error as Error).message);
      }
    }
  }

  /** Asks a source that is not trusted yet about a connection whose owner is known, and which waits for that. */
  async #compare(
    fast: Fast & { owners: SocketOwners },
    addresses: ConnectionAddresses,
    known: number,
  ): Promise<void> {
    try {
      const told = await fast.owners.ownerOf(addresses);
      if (this.#fast !== fast) return;
      if (told === known) this.#fast = { phase: "trusted", owners: fast.owners };
      else if (typeof told === "number") this.#giveUp(fast, `it says uid ${told}, /proc says ${known}`);
      // Unless the client has gone meanwhile.
      else if ((await this.#tables.ownerOf(addresses)) === known)
        this.#giveUp(fast, "it finds no connection");
    } catch (error) {
      this.#giveUp(fast, (error as Error).message);
    }
  }

  #giveUp(fast: Fast & { owners: SocketOwners }, why: string): void {
    if (this.#fast !== fast) return;
    this.#fast = { phase: "none" };
    void fast.owners.close().catch(() => undefined);
    this.#options.onFallback?.(why);
  }
}

function uidFrom(owner: SocketOwner): number | undefined {
  return typeof owner === "number" ? owner : undefined;
}

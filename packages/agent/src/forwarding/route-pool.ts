import { createHash } from "node:crypto";
import type { HopDeclaration } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { DialBudget } from "./dial-budget.ts";
import { HopSpread, type HopSpreadOptions, type Place } from "./hop-spread.ts";
import { HostPenalties } from "./host-penalties.ts";
import { type HopNews, SharedHop, type SharedHopOptions } from "./shared-hop.ts";

/** A forward's use of a route. */
export interface Route {
  /** The last hop, with all before it connected; rejects with the failing hop's error. */
  lastHop(signal: AbortSignal): Promise<Hop>;
  /** A place for a channel on one of the connections to the last hop, to be released; rejects as `lastHop` does. */
  take(signal: AbortSignal): Promise<Place>;
  /** The same on the first connection, for when a further one failed. */
  takeFirst(signal: AbortSignal): Promise<Place>;
  /** Calls `watcher` with what happens to the last hop, and with signatures that any hop waits for; until the route is closed. */
  watch(watcher: (news: HopNews) => void): void;
  /** Gives the route back; hops that nobody uses any more are closed. Idempotent. */
  close(): Promise<void>;
}

interface Entry {
  readonly hop: SharedHop;
  readonly spread: HopSpread;
  users: number;
}

export interface RoutePoolOptions extends SharedHopOptions, HopSpreadOptions {}

/** Hops of a session: forwards whose routes begin alike share those hops, so that each costs one signature. */
export class RoutePool implements AsyncDisposable {
  readonly #options: RoutePoolOptions;
  readonly #entries = new Map<string, Entry>();
  /** By the hosts on the way: they outlast the hops, as a host's memory does. */
  readonly #penalties = new Map<string, HostPenalties>();
  /** Closes under way. */
  readonly #closing = new Set<Promise<void>>();

  constructor(options: RoutePoolOptions) {
    this.#options = options;
  }

  /** Takes `route` (one hop or more) into use, with up to `connections` to its last hop; connects nothing yet. */
  lease(route: readonly HopDeclaration[], connections = 1): Route {
    const keys: string[] = [];
    const before: SharedHop[] = [];
    let way = "";
    let last: Entry | undefined;
    for (const declaration of route) {
      const key = keyOf(declaration, keys.at(-1) ?? "");
      way += `>${declaration.host}:${declaration.port}`;
      const entry = this.#entries.get(key) ?? this.#make(declaration, last?.hop, way);
      entry.users += 1;
      if (last !== undefined) before.push(last.hop);
      this.#entries.set(key, entry);
      keys.push(key);
      last = entry;
    }
    if (last === undefined) throw new Error("a route without a hop");
    const { hop, spread } = last;
    let closing: Promise<void> | undefined;
    const undo = [hop.keep()];
    return {
      lastHop: (signal) => hop.get(signal),
      take: (signal) => spread.take(connections, signal),
      takeFirst: (signal) => spread.takeFirst(signal),
      watch: (watcher) => {
        undo.push(hop.watch(watcher));
        for (const earlier of before)
          undo.push(earlier.watch((news) => news.news === "signing" && watcher(news)));
      },
      close: () => {
        // Those that are closed are not dialled for a relay that waits.
        closing ??= this.#release(keys);
        for (const each of undo.splice(0)) each();
        return closing;
      },
    };
  }

  /** Closes every hop, in use or not. Idempotent. */
  async close(): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    await Promise.all([this.#close(entries), ...this.#closing]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #make(declaration: HopDeclaration, previous: SharedHop | undefined, way: string): Entry {
    const penalties = this.#penalties.get(way) ?? new HostPenalties(this.#options.now);
    this.#penalties.set(way, penalties);
    const { budget = new DialBudget(this.#options.now, penalties) } = this.#options;
    const hop = new SharedHop(declaration, previous, { ...this.#options, budget });
    return { hop, spread: new HopSpread(hop, this.#options), users: 0 };
  }

  async #release(keys: readonly string[]): Promise<void> {
    const unused: Entry[] = [];
    for (const key of keys) {
      const entry = this.#entries.get(key);
      if (entry === undefined) continue;
      entry.users -= 1;
      if (entry.users > 0) continue;
      this.#entries.delete(key);
      unused.push(entry);
    }
    await this.#close(unused);
  }

  async #close(entries: readonly Entry[]): Promise<void> {
    const closing = closeInnermostFirst(entries);
    this.#closing.add(closing);
    await closing.finally(() => this.#closing.delete(closing));
  }
}

/** A hop lives inside the connection of the one before it: it says goodbye first. */
async function closeInnermostFirst(entries: readonly Entry[]): Promise<void> {
  for (const { hop, spread } of [...entries].reverse()) {
    await spread.close();
    await hop.close();
  }
}

/** The same key only for the same declaration behind the same hops. */
function keyOf(hop: HopDeclaration, previousKey: string): string {
  const hash = createHash("sha256").update(previousKey);
  hash.update(JSON.stringify([hop.hopId, hop.user, hop.host, hop.port, hop.connectTimeoutMs ?? 0]));
  for (const blobs of [hop.hostKeys, hop.publicKeys]) {
    hash.update(`${blobs.length};`);
    for (const blob of blobs) hash.update(`${blob.length}:`).update(blob);
  }
  return hash.digest("hex");
}

import { createHash } from "node:crypto";
import type { HopDeclaration } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { SharedHop, type SharedHopOptions } from "./shared-hop.ts";

/** A forward's use of a route. */
export interface Route {
  /** The last hop, with all before it connected; rejects with the failing hop's error. */
  lastHop(signal: AbortSignal): Promise<Hop>;
  /** Gives the route back; hops that nobody uses any more are closed. Idempotent. */
  close(): Promise<void>;
}

interface Entry {
  readonly hop: SharedHop;
  users: number;
}

/** Hops of a session: forwards whose routes begin alike share those hops, so that each costs one signature. */
export class RoutePool implements AsyncDisposable {
  readonly #options: SharedHopOptions;
  readonly #entries = new Map<string, Entry>();
  /** Closes under way. */
  readonly #closing = new Set<Promise<void>>();

  constructor(options: SharedHopOptions) {
    this.#options = options;
  }

  /** Takes `route` (one hop or more) into use; connects nothing yet. */
  lease(route: readonly HopDeclaration[]): Route {
    const keys: string[] = [];
    let last: SharedHop | undefined;
    for (const declaration of route) {
      const key = keyOf(declaration, keys.at(-1) ?? "");
      const entry = this.#entries.get(key) ?? {
        hop: new SharedHop(declaration, last, this.#options),
        users: 0,
      };
      entry.users += 1;
      this.#entries.set(key, entry);
      keys.push(key);
      last = entry.hop;
    }
    if (last === undefined) throw new Error("a route without a hop");
    const lastHop = last;
    let closing: Promise<void> | undefined;
    return {
      lastHop: (signal) => lastHop.get(signal),
      close: () => {
        closing ??= this.#release(keys);
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
  for (const { hop } of [...entries].reverse()) await hop.close();
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

import { abortable, type Peer } from "@farside/protocol";

/** A workstation that is attached, with the keys that it signs with. */
export interface Lender {
  readonly peer: Pick<Peer, "request" | "closed">;
  /** Public key blobs by the hop that they are for. */
  readonly hops: ReadonlyMap<string, readonly Uint8Array[]>;
}

/** Who may be asked for a hop's signature now. */
export interface LentIdentity {
  readonly peer: Pick<Peer, "request">;
  readonly publicKeys: readonly Uint8Array[];
}

/**
 * The identities of workstations that are attached at the moment. A hop that needs one waits here, before it is dialled, until
 * somebody attaches: a login that waits would be cut by the host, and charged.
 */
export class LentIdentities {
  readonly #lenders: Lender[] = [];
  readonly #waiting = new Map<string, Set<(identity: LentIdentity) => void>>();

  get lenders(): number {
    return this.#lenders.length;
  }

  /** Hops that wait for a lender. */
  get waitingHops(): string[] {
    return [...this.#waiting.keys()];
  }

  /** Until its channel ends, `lender` is asked for the hops that it names; the newest is asked first. */
  lend(lender: Lender): void {
    this.#lenders.unshift(lender);
    void lender.peer.closed.then(() => {
      const index = this.#lenders.indexOf(lender);
      if (index >= 0) this.#lenders.splice(index, 1);
    });
    for (const [hopId, wakes] of [...this.#waiting]) {
      const identity = this.#find(hopId);
      if (identity !== undefined) for (const wake of [...wakes]) wake(identity);
    }
  }

  /** The identity for `hopId`, once there is one; `onWaiting` hears when it has to be waited for, and when no more. Rejects with the signal's reason. */
  async for(
    hopId: string,
    { signal, onWaiting }: { signal: AbortSignal; onWaiting: (isWaiting: boolean) => void },
  ): Promise<LentIdentity> {
    const found = this.#find(hopId);
    if (found !== undefined) return found;
    const wakes = this.#waiting.get(hopId) ?? new Set();
    this.#waiting.set(hopId, wakes);
    let wake: (identity: LentIdentity) => void = () => undefined;
    const lent = new Promise<LentIdentity>((resolve) => {
      wake = resolve;
      wakes.add(wake);
    });
    onWaiting(true);
    try {
      return await abortable(lent, signal);
    } finally {
      wakes.delete(wake);
      if (wakes.size === 0) this.#waiting.delete(hopId);
      onWaiting(false);
    }
  }

  #find(hopId: string): LentIdentity | undefined {
    for (const { peer, hops } of this.#lenders) {
      const publicKeys = hops.get(hopId);
      if (publicKeys !== undefined) return { peer, publicKeys };
    }
    return undefined;
  }
}

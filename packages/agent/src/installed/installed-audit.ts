import {
  type BindAddress,
  type DataOf,
  type EventDefinition,
  forwardTakenOver,
  harmless,
  hopConnected,
  relayClosed,
  relayRefused,
} from "@farside/protocol";
import { type AuditEntry, AuditTrail, type ChainHead } from "@farside/protocol/audit";
import { formatEndpoint } from "../forwarding/format-endpoint.ts";

/** The audit log of an installed agent, in its own folder: what it did while nobody was attached, too. */
export class InstalledAudit {
  readonly #trail: AuditTrail;

  constructor(folder: string, onFailure: (error: unknown) => void) {
    this.#trail = new AuditTrail({ folder, onFailure });
  }

  /** The newest line that is written; undefined until there is one. */
  get head(): ChainHead | undefined {
    return this.#trail.head;
  }

  started(digest: string): void {
    this.#trail.append({ event: "start", pid: process.pid, digest });
  }

  /** This process serves in place of another from now on. Resolves when it is written: what the other has told of its newest line is then behind. */
  async upgraded(): Promise<void> {
    this.#trail.append({ event: "upgraded", pid: process.pid });
    await this.#trail.flush();
  }

  bound(forward: string, bound: readonly BindAddress[]): void {
    const bind = bound.map((each) =>
      each.kind === "unix" ? each.path : formatEndpoint(addressOf(each), each.port),
    );
    this.#trail.append({ event: "bind", forward, bind: bind.map((each) => harmless(each, 500)) });
  }

  /** Takes an event of the agent; most mean nothing here. */
  hear<D extends EventDefinition>({ name }: D, data: DataOf<D>): void {
    const entry = entryOf(name, data);
    if (entry !== undefined) this.#trail.append(entry, { mayDrop: name.startsWith("relay.") });
  }

  /** Writes what waits, and that the agent ends. */
  async close(reason: string): Promise<void> {
    this.#trail.append({ event: "stop", pid: process.pid, reason });
    await this.#trail.close();
  }
}

function entryOf(name: string, data: unknown): AuditEntry | undefined {
  switch (name) {
    case hopConnected.name: {
      const { user, host, port } = data as DataOf<typeof hopConnected>;
      return { event: "login", user: harmless(user, 255), to: harmless(host, 255), port };
    }
    case relayClosed.name: {
      const { forwardId: forward, relayId: relay, peer, error, ...rest } = data as DataOf<typeof relayClosed>;
      const { uid, bytesIn, bytesOut, durationMs, reason } = rest;
      const ended = { uid, bytesIn, bytesOut, durationMs, reason, code: error?.code };
      return { event: "relay", forward, relay, peer: harmless(peer, 100), ...ended };
    }
    case relayRefused.name: {
      const { forwardId: forward, peer, uid } = data as DataOf<typeof relayRefused>;
      return { event: "refused", forward, peer: harmless(peer, 100), uid };
    }
    case forwardTakenOver.name: {
      const { forwardId: forward, address, from, reason } = data as DataOf<typeof forwardTakenOver>;
      const whose = { from: from && harmless(from.session, 64), pid: from?.pid };
      return { event: "taken-over", forward, address: harmless(address, 500), ...whose, reason };
    }
    default:
      return undefined;
  }
}

function addressOf(bound: Exclude<BindAddress, { kind: "unix" }>): string {
  return bound.kind === "tcp" ? bound.address : "localhost";
}

import { abortable, CodedError, PreambleScanner } from "@farside/protocol";
import type { ExecStream } from "@farside/ssh";

/** One word of the bootstrap, `KIND` or `KIND:DETAIL`; harmless, but from outside. */
export interface HostStatus {
  readonly kind: string;
  readonly detail: string;
  /** As it came. */
  readonly status: string;
  /** What came behind it. */
  readonly rest: Buffer;
}

/** Reads what a bootstrap says after its first status, one preamble at a time. Borrows the channel. */
export class HostStatuses {
  readonly #channel: Pick<ExecStream, "iterator">;
  readonly #nonce: string;
  #rest: Buffer;

  /** `rest`: what was read behind the first status. */
  constructor(channel: Pick<ExecStream, "iterator">, nonce: string, rest: Buffer) {
    this.#channel = channel;
    this.#nonce = nonce;
    this.#rest = rest;
  }

  /** The next status. Rejects with `agent.gone` where the channel ends first, `protocol.no-preamble`, or the signal's reason. */
  async next(signal: AbortSignal): Promise<HostStatus> {
    const scanner = new PreambleScanner(this.#nonce);
    const early = this.#take(scanner, this.#rest);
    return early ?? abortable(this.#read(scanner), signal);
  }

  async #read(scanner: PreambleScanner): Promise<HostStatus> {
    try {
      for await (const chunk of this.#channel.iterator({ destroyOnReturn: false })) {
        const status = this.#take(scanner, chunk as Buffer);
        if (status !== undefined) return status;
      }
    } catch (error) {
      if (error instanceof CodedError) throw error;
    }
    throw new CodedError("agent.gone", "the login ended", { leg: "jump" });
  }

  #take(scanner: PreambleScanner, chunk: Buffer): HostStatus | undefined {
    const found = scanner.push(chunk);
    if (found === undefined) return undefined;
    const { status, rest } = found;
    this.#rest = rest;
    const at = status.indexOf(":");
    const [kind, detail] = at < 0 ? [status, ""] : [status.slice(0, at), status.slice(at + 1)];
    return { kind, detail, status, rest };
  }
}

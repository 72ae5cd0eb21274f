import { badMessage } from "./bad-message.ts";
import type { RequestDefinition } from "./define.ts";
import type { CodedError, WireError } from "./errors.ts";
import { receive } from "./handlers.ts";
import type { WireValue } from "./message-stream.ts";
import { onAbort } from "./on-abort.ts";
import type { Letter, Outbox } from "./outbox.ts";
import { harmlessFromWire } from "./wire-failure.ts";

export interface RequestOptions {
  /** Rejects the request with its reason and tells the other side, which answers all the same. */
  readonly signal?: AbortSignal | undefined;
  /** It went out before there was this peer, as `openingFrames` has it, and is the first that this side asks. Default: it is sent. */
  readonly isSent?: boolean | undefined;
}

interface Pending {
  readonly definition: RequestDefinition;
  /** Undefined once it was canceled: the answer still comes and is dropped. */
  settle: { resolve: (result: unknown) => void; reject: (reason: unknown) => void } | undefined;
  readonly unlink: (() => void) | undefined;
}

/** The requests of one side that the other has not answered. A canceled one keeps its place until its answer comes. */
export class PendingRequests {
  readonly #outbox: Outbox;
  readonly #limit: number;
  readonly #open = new Map<number, Pending>();
  #lastId = 0;

  constructor(outbox: Outbox, limit: number) {
    this.#outbox = outbox;
    this.#limit = limit;
  }

  /** With `isSent` its frame went out already, see `openingFrames`: only the answer is waited for. */
  ask(
    definition: RequestDefinition,
    params: WireValue,
    { signal, isSent = false }: RequestOptions,
  ): Promise<unknown> {
    if (this.#open.size >= this.#limit) {
      return Promise.reject(new Error(`${definition.name}: ${this.#limit} requests are open already`));
    }
    if (isSent && this.#lastId > 0) return Promise.reject(new Error(`${definition.name} is not the first`));
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const letter: Letter = {
        message: { kind: "request", id, name: definition.name, params },
        onUnsendable: (error) => this.#close(id)?.settle?.reject(error),
      };
      const unlink = signal && onAbort(signal, (reason) => this.#cancel(id, letter, reason));
      this.#open.set(id, { definition, settle: { resolve, reject }, unlink });
      if (!isSent) this.#outbox.add(letter);
    });
  }

  /** Throws `protocol.bad-message` where nothing of `id` is open or the result is not valid. */
  answered(id: number, result: unknown): void {
    const { definition, settle } = this.#closeKnown(id);
    if (settle === undefined) return;
    try {
      settle.resolve(receive(definition.result, result, `the result of ${definition.name}`));
    } catch (error) {
      settle.reject(error);
      throw error;
    }
  }

  /** Throws `protocol.bad-message` where nothing of `id` is open. */
  failed(id: number, error: WireError): void {
    this.#closeKnown(id).settle?.reject(harmlessFromWire(error));
  }

  failAll(reason: CodedError): void {
    for (const id of [...this.#open.keys()]) this.#close(id)?.settle?.reject(reason);
  }

  #cancel(id: number, letter: Letter, reason: unknown): void {
    const pending = this.#open.get(id);
    pending?.settle?.reject(reason);
    if (pending === undefined) return;
    pending.settle = undefined;
    if (this.#outbox.remove(letter)) this.#open.delete(id);
    else this.#outbox.add({ message: { kind: "cancel", id } });
  }

  #closeKnown(id: number): Pending {
    const pending = this.#close(id);
    if (pending === undefined) throw badMessage("it answered what was not asked, or twice");
    return pending;
  }

  #close(id: number): Pending | undefined {
    const pending = this.#open.get(id);
    this.#open.delete(id);
    pending?.unlink?.();
    return pending;
  }
}

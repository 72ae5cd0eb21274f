import { abortable } from "./abortable.ts";
import { badMessage } from "./bad-message.ts";
import { deadline } from "./deadline.ts";
import type { DataOf, EventDefinition, ParamsOf, RequestDefinition, ResultOf } from "./define.ts";
import { openEnvelope } from "./envelope.ts";
import { CodedError, toCodedError } from "./errors.ts";
import { type EmitOptions, EventQueue } from "./event-queue.ts";
import { type EventHandler, prepare, type RequestContext, type RequestHandler } from "./handlers.ts";
import { MAX_PENDING_REQUESTS } from "./limits.ts";
import type { MessageStream, WireValue } from "./message-stream.ts";
import { Outbox } from "./outbox.ts";
import { PendingRequests, type RequestOptions } from "./pending-requests.ts";
import { fittingWireError } from "./wire-failure.ts";

/** How long a close waits for handlers to answer and for answers and events to go out. */
export const FLUSH_TIMEOUT_MS = 1000;

export interface PeerOptions {
  readonly requests?: readonly RequestHandler[];
  readonly events?: readonly EventHandler[];
  /** Requests open at a time, each way. Default MAX_PENDING_REQUESTS; both sides must have the same. */
  readonly pendingLimit?: number | undefined;
  /** Called with the events dropped since the last call, when the queue has room again; may emit. */
  readonly onEventsDropped?: ((count: number) => void) | undefined;
  /** Hears of failures that are bugs of this side: a handler that threw no CodedError, a message that can't be sent. */
  readonly onBug?: ((error: unknown, where: string) => void) | undefined;
}

/**
 * One side of the protocol over a carrier that it owns: asks and answers requests, sends and takes events. Symmetric. It
 * starts to read at once. Whatever breaks the protocol closes it with `protocol.bad-message`.
 */
export class Peer implements AsyncDisposable {
  /** Settles once everything is released: undefined after an orderly end (either side's), else what went wrong. Never rejects. */
  readonly closed: Promise<CodedError | undefined>;
  readonly #stream: MessageStream;
  readonly #options: PeerOptions;
  readonly #requestHandlers: ReadonlyMap<string, RequestHandler>;
  readonly #eventHandlers: ReadonlyMap<string, EventHandler>;
  readonly #outbox: Outbox;
  readonly #events: EventQueue;
  readonly #pending: PendingRequests;
  readonly #limit: number;
  /** Requests of the other side whose answer the carrier has not taken yet. */
  readonly #answering = new Map<number, AbortController>();
  readonly #handling = new Set<Promise<void>>();
  #lastIdAsked = 0;
  #closing: Promise<void> | undefined;
  #settleClosed: (reason: CodedError | undefined) => void = () => undefined;

  constructor(stream: MessageStream, options: PeerOptions = {}) {
    this.#stream = stream;
    this.#options = options;
    this.#limit = options.pendingLimit ?? MAX_PENDING_REQUESTS;
    this.#requestHandlers = new Map(options.requests?.map((handler) => [handler.name, handler]));
    this.#eventHandlers = new Map(options.events?.map((handler) => [handler.name, handler]));
    this.#outbox = new Outbox({
      send: (message) => stream.send(message),
      onGone: (error) => this.#end(error),
    });
    this.#events = new EventQueue(this.#outbox, {
      onRoom: (dropped) => this.#guard("onEventsDropped", () => options.onEventsDropped?.(dropped)),
      onUnsendable: (error, name) => options.onBug?.(error, name),
    });
    this.#pending = new PendingRequests(this.#outbox, this.#limit);
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    void this.#read();
  }

  /** Events that found the queue full, since the start. */
  get droppedEvents(): number {
    return this.#events.dropped;
  }

  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  /**
   * Asks the other side. Rejects with the error that it answers, with the signal's reason, with `agent.gone` when the
   * carrier ends, and with `protocol.bad-message` when an answer breaks the protocol. It has no deadline of its own.
   */
  async request<D extends RequestDefinition>(
    definition: D,
    params: ParamsOf<D>,
    options: RequestOptions = {},
  ): Promise<ResultOf<D>> {
    options.signal?.throwIfAborted();
    const checked = prepare(definition.params, params, `the params of ${definition.name}`);
    if (this.#closing !== undefined) throw gone();
    return (await this.#pending.ask(definition, checked as WireValue, options)) as ResultOf<D>;
  }

  /**
   * Tells the other side. Never waits and never throws: an event that finds MAX_QUEUED_EVENTS waiting is dropped and
   * counted. After the close it does nothing.
   */
  emit<D extends EventDefinition>(definition: D, data: DataOf<D>, options: EmitOptions = {}): void {
    if (this.#closing !== undefined) return;
    this.#guard(definition.name, () => {
      const checked = prepare(definition.data, data, `the data of ${definition.name}`);
      this.#events.add(definition.name, checked as WireValue, options);
    });
  }

  /**
   * Rejects what is pending with `agent.gone`, aborts the handlers' signals, gives them and the queue FLUSH_TIMEOUT_MS to go out,
   * and closes the carrier. Idempotent. A handler must not await it: its answer would come too late.
   */
  close(): Promise<void> {
    this.#end(undefined, true);
    return this.#closing ?? Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #read(): Promise<void> {
    try {
      for await (const message of this.#stream.messages) {
        if (this.#closing === undefined) this.#receive(message);
      }
      this.#end(undefined);
    } catch (error) {
      this.#end(toCodedError(error));
    }
  }

  #receive(message: WireValue): void {
    const envelope = openEnvelope(message);
    switch (envelope.kind) {
      case "request":
        this.#answer(envelope.id, envelope.name, envelope.params);
        break;
      case "response":
        this.#pending.answered(envelope.id, envelope.result);
        break;
      case "failure":
        this.#pending.failed(envelope.id, envelope.error);
        break;
      case "event":
        this.#take(envelope.name, envelope.data);
        break;
      case "cancel":
        if (envelope.id > this.#lastIdAsked) throw badMessage("it canceled what it never asked");
        this.#answering.get(envelope.id)?.abort(new CodedError("canceled", "the asker canceled the request"));
    }
  }

  #take(name: string, data: unknown): void {
    const run = this.#eventHandlers.get(name)?.accept(data);
    if (run !== undefined) this.#guard(name, run);
  }

  #answer(id: number, name: string, params: unknown): void {
    if (id <= this.#lastIdAsked) throw badMessage("it used the id of a request twice");
    if (this.#answering.size >= this.#limit)
      throw badMessage(`it has more than ${this.#limit} requests open`);
    this.#lastIdAsked = id;
    const controller = new AbortController();
    this.#answering.set(id, controller);
    const handling = this.#handle(name, params, controller.signal).then(
      (result) => this.#reply(id, { kind: "response", id, result: result as WireValue }, name),
      (error) => {
        const failure = toCodedError(error);
        if (failure.code === "internal") this.#options.onBug?.(error, name);
        this.#reply(id, { kind: "failure", id, error: fittingWireError(failure) }, name);
      },
    );
    this.#handling.add(handling);
    void handling.finally(() => this.#handling.delete(handling));
  }

  #handle(name: string, params: unknown, signal: AbortSignal): Promise<unknown> {
    const handler = this.#requestHandlers.get(name);
    if (handler === undefined) return Promise.reject(badMessage("a request that this side does not know"));
    const context: RequestContext = { signal };
    return handler.accept(params, context);
  }

  #reply(id: number, message: WireValue, name: string): void {
    this.#outbox.add({
      message,
      onTaken: () => this.#answering.delete(id),
      onUnsendable: (error) => {
        this.#options.onBug?.(error, name);
        const failure = new CodedError("internal", "the answer can't be put on the wire");
        this.#outbox.add({
          message: { kind: "failure", id, error: fittingWireError(failure) },
        });
      },
    });
  }

  /** Starts the close, once. `reason`: why, unless it is an orderly end. */
  #end(reason: CodedError | undefined, flush = false): void {
    this.#closing ??= this.#close(reason, flush).then(() => this.#settleClosed(reason));
  }

  async #close(reason: CodedError | undefined, flush: boolean): Promise<void> {
    const failure = reason ?? gone();
    this.#pending.failAll(failure);
    for (const controller of this.#answering.values()) controller.abort(failure);
    if (flush) {
      const limit = deadline(FLUSH_TIMEOUT_MS, "the last messages did not go out in time");
      const allOut = Promise.all(this.#handling).then(() => this.#outbox.flush());
      await abortable(allOut, limit.signal).catch(() => undefined);
      limit.release();
    }
    this.#outbox.stop();
    await this.#stream.close().catch(() => undefined);
  }

  /** Runs code whose failure must not break the peer; a failure is reported as a bug. */
  #guard(where: string, run: () => unknown): void {
    const report = (error: unknown) => this.#options.onBug?.(error, where);
    try {
      void Promise.resolve(run()).catch(report);
    } catch (error) {
      report(error);
    }
  }
}

function gone(): CodedError {
  return new CodedError("agent.gone", "the connection to the other side is closed");
}

import * as v from "valibot";
import { badMessage } from "./bad-message.ts";
import type { DataOf, EventDefinition, ParamsOf, RequestDefinition, ResultOf, Schema } from "./define.ts";
import { whereOf } from "./envelope.ts";

export interface RequestContext {
  /** Aborts when the asker cancels, with `canceled`, and when the peer closes. The request is answered all the same. */
  readonly signal: AbortSignal;
}

/** What a peer does about one kind of request; made by `handle`. */
export interface RequestHandler {
  readonly name: string;
  /** Throws `protocol.bad-message` where `params` are not valid; else the answer, checked. */
  readonly accept: (params: unknown, context: RequestContext) => Promise<unknown>;
}

/** What a peer does about one kind of event; made by `on`. */
export interface EventHandler {
  readonly name: string;
  /** Throws `protocol.bad-message` where `data` is not valid. The returned function runs the handler. */
  readonly accept: (data: unknown) => () => unknown;
}

/** Answers requests of `definition` with what `handler` returns, or with the error that it throws. */
export function handle<D extends RequestDefinition>(
  definition: D,
  handler: (params: ParamsOf<D>, context: RequestContext) => Promise<ResultOf<D>> | ResultOf<D>,
): RequestHandler {
  return {
    name: definition.name,
    accept: (params, context) => {
      const valid = receive(definition.params, params, `the params of ${definition.name}`);
      return (async () => {
        const result = await handler(valid as ParamsOf<D>, context);
        return prepare(definition.result, result, `the result of ${definition.name}`);
      })();
    },
  };
}

/** Gives the data of events of `definition` to `handler`. */
export function on<D extends EventDefinition>(
  definition: D,
  handler: (data: DataOf<D>) => unknown,
): EventHandler {
  return {
    name: definition.name,
    accept: (data) => {
      const valid = receive(definition.data, data, `the data of ${definition.name}`);
      return () => handler(valid as DataOf<D>);
    },
  };
}

/** `value` of the other side as `schema` has it; throws `protocol.bad-message`. */
export function receive<S extends Schema>(schema: S, value: unknown, what: string): v.InferOutput<S> {
  const parsed = v.safeParse(schema, value);
  if (!parsed.success) throw badMessage(`${what} are not valid${whereOf(parsed.issues)}`);
  return parsed.output;
}

/** `value` of our own, checked before it is sent: the other side would close over it. Throws a TypeError, for it is a bug. */
export function prepare<S extends Schema>(schema: S, value: unknown, what: string): v.InferOutput<S> {
  const parsed = v.safeParse(schema, value);
  if (!parsed.success) throw new TypeError(`${what} are not valid${whereOf(parsed.issues)}`);
  return parsed.output;
}

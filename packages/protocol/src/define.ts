import type * as v from "valibot";

/** Any valibot schema whose input is what stands on the wire. */
export type Schema = v.GenericSchema;

/** A question one side may ask the other. `asker` says which; the other side answers once. */
export interface RequestDefinition<Params extends Schema = Schema, Result extends Schema = Schema> {
  readonly kind: "request";
  readonly name: string;
  readonly asker: "orchestrator" | "agent";
  /** First protocol version that has it. */
  readonly since: number;
  readonly params: Params;
  readonly result: Result;
}

/** Something one side tells the other; nothing comes back. */
export interface EventDefinition<Data extends Schema = Schema> {
  readonly kind: "event";
  readonly name: string;
  readonly sender: "orchestrator" | "agent";
  readonly since: number;
  readonly data: Data;
}

export type ParamsOf<D extends RequestDefinition> = v.InferOutput<D["params"]>;
export type ResultOf<D extends RequestDefinition> = v.InferOutput<D["result"]>;
export type DataOf<D extends EventDefinition> = v.InferOutput<D["data"]>;

/** One request of the table; see `messages.ts`. */
export function defineRequest<const Name extends string, Params extends Schema, Result extends Schema>(
  name: Name,
  definition: { asker: "orchestrator" | "agent"; since: number; params: Params; result: Result },
): RequestDefinition<Params, Result> & { readonly name: Name } {
  return { kind: "request", name, ...definition };
}

/** One event of the table; see `messages.ts`. */
export function defineEvent<const Name extends string, Data extends Schema>(
  name: Name,
  definition: { sender: "orchestrator" | "agent"; since: number; data: Data },
): EventDefinition<Data> & { readonly name: Name } {
  return { kind: "event", name, ...definition };
}

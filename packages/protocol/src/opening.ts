import type { DataOf, EventDefinition, ParamsOf, RequestDefinition } from "./define.ts";
import { encodeFrame } from "./frame.ts";
import { prepare } from "./handlers.ts";
import type { WireValue } from "./message-stream.ts";

/** The id of the first request that a side asks. */
const FIRST_ID = 1;

/**
 * The frames of an event and of a side's first request, for whoever says them before there is a `Peer`: that one then asks the
 * request with `isSent`, as its first. Throws a TypeError for what is not valid, a RangeError for what is too long.
 */
export function openingFrames<E extends EventDefinition, R extends RequestDefinition>(
  event: E,
  data: DataOf<E>,
  request: R,
  params: ParamsOf<R>,
): Buffer {
  const told = prepare(event.data, data, `the data of ${event.name}`) as WireValue;
  const asked = prepare(request.params, params, `the params of ${request.name}`) as WireValue;
  return Buffer.concat([
    encodeFrame({ kind: "event", name: event.name, data: told }),
    encodeFrame({ kind: "request", id: FIRST_ID, name: request.name, params: asked }),
  ]);
}

import type { DataOf, EventDefinition, ParamsOf, RequestDefinition, ResultOf } from "../../define.ts";

/** Makes frozen messages, by the names of their files; requests are numbered from 1 in the order in which they are made. */
export function frozen() {
  let lastId = 0;
  return {
    exchange<D extends RequestDefinition>(definition: D, params: ParamsOf<D>, result: ResultOf<D>) {
      lastId += 1;
      return {
        [`request.${definition.name}`]: { kind: "request", id: lastId, name: definition.name, params },
        [`response.${definition.name}`]: { kind: "response", id: lastId, result },
      };
    },
    event<D extends EventDefinition>(definition: D, data: DataOf<D>) {
      return { [`event.${definition.name}`]: { kind: "event", name: definition.name, data } };
    },
  };
}

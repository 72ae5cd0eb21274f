import type { DataOf, EventDefinition, ForwardState, WireError } from "@farside/protocol";
import type { Log } from "./log.ts";

/** What events of an agent are made of that is not plain. */
type EventParts = { error?: WireError; message?: string; state?: ForwardState } & Record<string, unknown>;

/** Writes an agent's event to its log: of relays only what went wrong, unless everything is wanted. */
export function logEvent<D extends EventDefinition>(log: Log, { name }: D, data: DataOf<D>): void {
  const { state, message, ...rest } = data as EventParts;
  const error = rest.error ?? state?.lastError;
  const plain = Object.entries(rest).filter(([, value]) =>
    ["string", "number", "boolean"].includes(typeof value),
  );
  const fields = {
    ...(Object.fromEntries(plain) as Record<string, string | number | boolean>),
    ...(state !== undefined && { phase: state.phase, waitsFor: state.waitsFor }),
    ...(message !== undefined && { text: message }),
    ...(error !== undefined && { code: error.code, error: error.message }),
  };
  const isTrouble =
    rest.error !== undefined ||
    (state !== undefined && state.phase !== "open") ||
    ["hop.lost", "relay.refused", "warning", "dropped"].includes(name);
  if (isTrouble) log.warn(name, fields);
  else if (name.startsWith("relay.")) log.debug(name, fields);
  else log.info(name, fields);
}

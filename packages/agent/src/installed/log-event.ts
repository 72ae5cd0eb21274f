import type { DataOf, EventDefinition, WireError } from "@farside/protocol";
import type { Log } from "../log.ts";

/** Writes an agent's event to its log: of relays only what went wrong, unless everything is wanted. */
export function logEvent<D extends EventDefinition>(log: Log, { name }: D, data: DataOf<D>): void {
  const { error, message, ...rest } = data as { error?: WireError; message?: string } & Record<
    string,
    unknown
  >;
  const plain = Object.entries(rest).filter(([, value]) =>
    ["string", "number", "boolean"].includes(typeof value),
  );
  const fields = {
    ...(Object.fromEntries(plain) as Record<string, string | number | boolean>),
    ...(message !== undefined && { text: message }),
    ...(error !== undefined && { code: error.code, error: error.message }),
  };
  const isTrouble = error !== undefined || ["hop.lost", "relay.refused", "warning", "dropped"].includes(name);
  if (isTrouble) log.warn(name, fields);
  else if (name.startsWith("relay.")) log.debug(name, fields);
  else log.info(name, fields);
}

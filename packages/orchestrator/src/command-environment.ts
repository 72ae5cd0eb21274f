import { formatBind } from "./forward-spec.ts";
import type { OpenForward } from "./session-plan.ts";

/**
 * What a command of a session finds in its environment: `FARSIDE_SESSION`, and for the first forward `FARSIDE_ADDRESS_1`
 * (`127.0.0.1:4444`, or the path of a socket) and, for a TCP one, `FARSIDE_PORT_1`; and so on.
 */
export function commandEnvironment(
  session: string,
  forwards: readonly OpenForward[],
): Record<string, string> {
  const variables: Record<string, string> = { FARSIDE_SESSION: session };
  for (const { id, bound } of forwards) {
    const [first] = bound;
    if (first === undefined) continue;
    variables[`FARSIDE_ADDRESS_${id}`] = formatBind(first);
    if (first.kind !== "unix") variables[`FARSIDE_PORT_${id}`] = String(first.port);
  }
  return variables;
}

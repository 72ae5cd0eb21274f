import { formatHopSpec, parseHopSpec } from "@farside/orchestrator";
import type { InferredOptionTypes } from "yargs";
import { usageError } from "../usage-error.ts";
import type { sshOptions } from "./definitions.ts";

/** The options that say how ssh connects, as yargs read them. */
export type SshArguments = Partial<InferredOptionTypes<typeof sshOptions>>;

/** `-o` options by key; as in ssh the first one of a key counts. */
export function sshOptionsOf({ o = [] }: Pick<SshArguments, "o">): Record<string, string> {
  const options = new Map<string, readonly [string, string]>();
  for (const [key, value] of o) {
    const name = key.toLowerCase();
    if (!options.has(name)) options.set(name, [key, value]);
  }
  return Object.fromEntries(options.values());
}

/** JUMP with the port of `-p`. Throws `usage.invalid`. */
export function jumpWithPort(jump: string, p: number | undefined): string {
  const spec = parseHopSpec(jump, "the jump host");
  if (p === undefined || spec.port === p) return jump;
  if (spec.port !== undefined)
    throw usageError(`the jump host has port ${spec.port}, and -p says ${p}`, "Give one.");
  return formatHopSpec({ ...spec, port: p });
}

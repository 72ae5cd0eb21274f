import { accessSync, constants } from "node:fs";
import { dirname, resolve } from "node:path";
import { type ForwardOptions, formatHopSpec, parseHopSpec } from "@farside/orchestrator";
import type { ForwardArguments } from "../commands/forward.ts";
import { usageError } from "../usage-error.ts";

/** What of the command line the orchestrator takes as it is. Throws `usage.invalid`. */
export function sessionOptionsOf(argv: ForwardArguments): ForwardOptions {
  return {
    jump: jumpOf(argv),
    forwards: argv.L ?? [],
    via: argv.via,
    viaHostKeys: argv["via-host-key"],
    jumps: argv.J,
    configFile: argv.F,
    sshOptions: sshOptionsOf(argv),
    knownHostsFiles: argv["known-hosts"] === undefined ? undefined : [resolve(argv["known-hosts"])],
    hostKeyCheck: argv["host-key-check"],
    remoteNode: argv["remote-node"],
    name: argv.name,
    allowUsers: argv["allow-user"],
    allowAnyUser: argv["allow-any-user"],
    maxRelays: argv["max-relays"],
    leaseMs: argv.lease,
    ttlMs: argv.ttl,
    idleMs: argv.idle,
    startTimeoutMs: argv["start-timeout"],
    readyFile: readyFileOf(argv),
  };
}

/** `-o` options by key; as in ssh the first one of a key counts. */
export function sshOptionsOf({ o = [] }: Pick<ForwardArguments, "o">): Record<string, string> {
  const options = new Map<string, readonly [string, string]>();
  for (const [key, value] of o) {
    const name = key.toLowerCase();
    if (!options.has(name)) options.set(name, [key, value]);
  }
  return Object.fromEntries(options.values());
}

/** JUMP with the port of `-p`. */
function jumpOf({ jump, p }: Pick<ForwardArguments, "jump" | "p">): string {
  const spec = parseHopSpec(jump, "the jump host");
  if (p === undefined || spec.port === p) return jump;
  if (spec.port !== undefined)
    throw usageError(`the jump host has port ${spec.port}, and -p says ${p}`, "Give one.");
  return formatHopSpec({ ...spec, port: p });
}

/** Known to be of no use only once everything is open, it would come too late. */
function readyFileOf(argv: Pick<ForwardArguments, "ready-file">): string | undefined {
  const path = argv["ready-file"];
  if (path === undefined) return undefined;
  const folder = dirname(resolve(path));
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch {
    throw usageError(
      `--ready-file: no file can be made in ${folder}`,
      "The folder must be there and be ours to write.",
    );
  }
  return resolve(path);
}

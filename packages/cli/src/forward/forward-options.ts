import { accessSync, constants } from "node:fs";
import { dirname, resolve } from "node:path";
import { type ForwardOptions, parseForwardSpec, parseHopList, parsePinnedKeys } from "@farside/orchestrator";
import type { ForwardArguments } from "../commands/forward.ts";
import { jumpWithPort, sshOptionsOf } from "../options/ssh-arguments.ts";
import { usageError } from "../usage-error.ts";

/** What of the command line the orchestrator takes as it is. Throws `usage.invalid`, for everything that can be known now. */
export function sessionOptionsOf(argv: ForwardArguments): ForwardOptions {
  parseHopList(argv.via ?? [], "--via");
  parseHopList(argv.J ?? [], "-J");
  parsePinnedKeys(argv["via-host-key"] ?? []);
  if (argv.detach === true && argv.ttl === undefined)
    throw usageError("--detach needs --ttl", "Nothing else would end it: --ttl 8h");
  if (argv["metrics-port"] !== undefined && argv.reattach !== true && argv.detach !== true)
    throw usageError(
      "--metrics-port needs --reattach or --detach",
      "The agent of a plain forward ends with its connection and has no such pages.",
    );
  return {
    jump: jumpWithPort(argv.jump, argv.p),
    forwards: (argv.L ?? []).map(parseForwardSpec),
    via: argv.via,
    viaHostKeys: argv["via-host-key"],
    jumps: argv.J,
    configFile: argv.F,
    sshOptions: sshOptionsOf(argv),
    knownHostsFiles: argv["known-hosts"] === undefined ? undefined : [resolve(argv["known-hosts"])],
    hostKeyCheck: argv["host-key-check"],
    onCardRemoval: argv["on-card-removal"] === "close" ? "close" : "keep",
    engine: argv.engine,
    remoteNode: argv["remote-node"],
    runtime: argv.runtime,
    keepRuntime: argv["keep-runtime"],
    runtimeFile: argv["runtime-file"],
    respectSshdPolicy: argv["respect-sshd-policy"],
    name: argv.name,
    takeOver: argv["take-over"],
    allowUsers: argv["allow-user"],
    allowAnyUser: argv["allow-any-user"],
    maxRelays: argv["max-relays"],
    probeMs: argv.probe,
    connections: argv.connections,
    leaseMs: argv.lease,
    ttlMs: argv.ttl,
    idleMs: argv.idle,
    graceMs: argv.grace,
    reattach: argv.reattach,
    detach: argv.detach,
    metricsPort: argv["metrics-port"],
    startTimeoutMs: argv["start-timeout"],
    readyFile: readyFileOf(argv),
  };
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

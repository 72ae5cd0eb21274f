import { RUN_VARIABLE } from "../command/command-table.ts";
import { mallocEnvironment } from "../malloc-environment.ts";

export interface UnitFacts {
  /** The agent's name; see `agentName`. */
  readonly name: string;
  /** The Node.js that runs it. */
  readonly node: string;
  /** What Node.js runs, with its arguments; absolute paths. */
  readonly command: readonly string[];
  /** Marks every process of it, in its environment; see `RUN_VARIABLE`. */
  readonly run: string;
}

/** Name of the unit of the installed agent `name`. */
export function unitName(name: string): string {
  return `farside-${name}.service`;
}

/**
 * The `systemd --user` unit of an installed agent (systemd.service(5)). Type=notify: it is started when its listeners are
 * open, which the agent says by `systemd-notify`, a child of its own (NotifyAccess=all), as Node.js has no datagram
 * sockets; an upgrade says its new main process in the same way. What would take something from the agent that it needs
 * is not in here: write-and-execute memory (V8), files of the login (keys, sockets).
 */
export function unitText({ name, node, command, run }: UnitFacts): string {
  const environment = Object.entries({ [RUN_VARIABLE]: run, ...mallocEnvironment }).map((entry) =>
    entry.join("="),
  );
  return `# Made by "farside agent install" and "farside agent upgrade", which write it anew; "farside agent uninstall" removes it.
[Unit]
Description=farside agent ${name}
StartLimitIntervalSec=300
StartLimitBurst=20

[Service]
Type=notify
NotifyAccess=all
Environment=${environment.join(" ")}
# Meant for other programs: --inspect would open a debugger that asks nobody who they are.
UnsetEnvironment=NODE_OPTIONS NODE_DEBUG NODE_V8_COVERAGE
ExecStart=${[node, ...command].map(quoted).join(" ")}
Restart=always
RestartSec=2
# A configuration that is not valid does not become so by another start.
RestartPreventExitStatus=78
SuccessExitStatus=143
TimeoutStartSec=60
TimeoutStopSec=20
SyslogIdentifier=farside-${name}
UMask=0077
LimitCORE=0
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
# Netlink: the owner of a connection is asked for there.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK

[Install]
WantedBy=default.target
`;
}

/** A word of ExecStart as it is: quotes and escapes of systemd.syntax(7), specifiers of systemd.unit(5), no variables. */
function quoted(word: string): string {
  if (/\p{Cc}/u.test(word)) throw new Error(`a control character in ${JSON.stringify(word)}`);
  const escaped = word
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"')
    .replaceAll("%", "%%")
    .replaceAll("$", "$$$$");
  return `"${escaped}"`;
}

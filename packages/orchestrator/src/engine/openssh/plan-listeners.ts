import { randomInt } from "node:crypto";
import { type BindAddress, CodedError } from "@farside/protocol";
import { ANY_ADDRESS, type ForwardSpec, formatBind } from "../../forward-spec.ts";
import type { HostReport } from "./host-report.ts";
import type { SshForward } from "./ssh-command.ts";

/** Where `ip_local_port_range` and most services do not reach. */
const FREE_PORTS = { min: 61_000, max: 65_535 } as const;
const MAX_TRIES = 10_000;

/** One forward with every address that ssh is told to listen on. */
export interface PlannedForward {
  readonly bound: readonly BindAddress[];
  readonly listeners: readonly SshForward[];
}

/**
 * Says where ssh has to listen for each forward. A loopback bind is both addresses, each of which ssh must get: it is
 * content with one of two that stand in one option. Port 0 takes one that nobody listens on: ssh takes none by itself.
 * Throws `forward.port-in-use`, before anything is signed.
 */
export function planListeners(
  forwards: readonly ForwardSpec[],
  report: Pick<HostReport, "takenPorts" | "takenLoopbackPorts" | "hasIpv6">,
  host: string,
  random: (min: number, max: number) => number = randomInt,
): PlannedForward[] {
  const taken = new Set(report.takenPorts);
  for (const { bind } of forwards) {
    check(bind, report.takenLoopbackPorts, host);
    if (bind.kind !== "unix") taken.add(bind.port);
  }
  const freePort = () => {
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const port = random(FREE_PORTS.min, FREE_PORTS.max + 1);
      if (taken.has(port)) continue;
      taken.add(port);
      return port;
    }
    throw new CodedError("forward.bind-refused", `listening on ${host}: no free port was found`, {
      leg: "bind",
    });
  };
  return forwards.map(({ bind, target }) => {
    const bound = addressesOf(bind, report.hasIpv6, freePort);
    return { bound, listeners: bound.map((address) => ({ bind: address, target })) };
  });
}

/** What can be known before anything is signed. */
function check(bind: BindAddress, takenLoopbackPorts: ReadonlySet<number>, host: string): void {
  const attempt = `listening on ${formatBind(bind)} of ${host}`;
  if (bind.kind === "loopback" && takenLoopbackPorts.has(bind.port)) {
    throw new CodedError("forward.port-in-use", `${attempt}: somebody else does`, {
      leg: "bind",
      hint: "Choose another port, or 0 for a free one.",
    });
  }
  if (bind.kind !== "unix" || bind.path.startsWith("/")) return;
  throw new CodedError("forward.bind-refused", `${attempt}: the path is not absolute`, {
    leg: "bind",
    hint: "Give an absolute path of the jump host.",
  });
}

function addressesOf(bind: BindAddress, hasIpv6: boolean, freePort: () => number): SshForward["bind"][] {
  if (bind.kind === "unix") return [bind];
  const port = bind.port === 0 ? freePort() : bind.port;
  const both = (address4: string, address6: string) =>
    [address4, ...(hasIpv6 ? [address6] : [])].map((address) => ({ kind: "tcp" as const, address, port }));
  if (bind.kind === "loopback") return both("127.0.0.1", "::1");
  return bind.address === ANY_ADDRESS
    ? both("0.0.0.0", "::")
    : [{ kind: "tcp", address: bind.address, port }];
}

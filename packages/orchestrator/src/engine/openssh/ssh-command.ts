import type { BindAddress, TargetAddress } from "@farside/protocol";
import { CodedError } from "@farside/protocol";
import { parsePublicKey, publicKeyLine } from "@farside/ssh";
import type { DeclaredHop } from "../../destination-guard.ts";

/** How a live connection of ssh(1) is noticed to be dead: as the agent's hops, within 20 s. */
const ALIVE = ["ServerAliveInterval=5", "ServerAliveCountMax=3", "ConnectTimeout=10", "ConnectionAttempts=1"];

/** Nothing of the jump host's own configuration, nobody who could be asked, no other key than the lent one, no file. */
const FIXED = [
  ...["BatchMode=yes", "NumberOfPasswordPrompts=0", "PreferredAuthentications=publickey"],
  ...["IdentityAgent=SSH_AUTH_SOCK", "IdentityFile=none", "PKCS11Provider=none"],
  ...["StrictHostKeyChecking=yes", "UserKnownHostsFile=/dev/null", "GlobalKnownHostsFile=/dev/null"],
  ...["CheckHostIP=no", "UpdateHostKeys=no", "VerifyHostKeyDNS=no"],
  ...["ForwardAgent=no", "ForwardX11=no", "ControlMaster=no", "ControlPath=none", "Tunnel=no"],
  ...["EscapeChar=none", "CanonicalizeHostname=no", "TCPKeepAlive=yes", ...ALIVE],
] as const;

/** The name that the host key of a hop is looked up by: no address of it may stand for another. */
export function hostKeyAlias({ hopId }: Pick<DeclaredHop, "hopId">): string {
  return `farside-${hopId}`;
}

/** A hop of the route with what is accepted as its host key besides its declared keys. */
export interface SshHop extends DeclaredHop {
  /** Fingerprints, `SHA256:…`. */
  readonly pins: readonly string[];
}

/** A listener as ssh(1) opens it: for one address, so that two addresses are two listeners. */
export interface SshForward {
  readonly bind: Exclude<BindAddress, { kind: "loopback" }>;
  readonly target: TargetAddress;
}

/**
 * The words behind `ssh` that log in to the last hop of `route`, through those before it, open `forwards` and run nothing
 * there. `proxy` is a command that connects to the last hop, where that isn't dialled directly; see `proxyWords`.
 */
export function forwardWords(
  route: readonly SshHop[],
  forwards: readonly SshForward[],
  { proxy, onListening }: { proxy?: string | undefined; onListening: string },
): string[] {
  return [
    ...hopWords(lastOf(route), proxy),
    ...options(["ExitOnForwardFailure=yes", "GatewayPorts=no", "StreamLocalBindMask=0177"]),
    // It runs when every listener is open.
    ...options(["PermitLocalCommand=yes", `LocalCommand=${withoutTokens(onListening)}`]),
    ...["-N", "-T"],
    ...forwards.flatMap(({ bind, target }) => ["-L", forwardSpec(bind, target)]),
    ...destination(lastOf(route)),
  ];
}

/** The words behind `ssh` that connect stdin and stdout to `to`, through `route`. */
export function proxyWords(
  route: readonly SshHop[],
  to: Pick<DeclaredHop, "host" | "port">,
  proxy: string | undefined,
): string[] {
  const address = to.host.includes(":") ? `[${to.host}]:${to.port}` : `${to.host}:${to.port}`;
  return [...hopWords(lastOf(route), proxy), "-T", "-W", address, ...destination(lastOf(route))];
}

function hopWords(hop: SshHop, proxy: string | undefined): string[] {
  return [
    ...["-F", "none"],
    ...options(FIXED),
    ...options([`HostKeyAlias=${hostKeyAlias(hop)}`, `KnownHostsCommand=${knownHostsCommand(hop)}`]),
    ...options([proxy === undefined ? "ProxyCommand=none" : `ProxyCommand=${withoutTokens(proxy)}`]),
  ];
}

function destination({ user, host, port }: DeclaredHop): string[] {
  return ["-l", user, "-p", String(port), "--", host];
}

/** Prints the declared keys: ssh(1) runs it, without a shell of the user's, each time it wants to know one. */
function knownHostsCommand(hop: SshHop): string {
  const alias = hostKeyAlias(hop);
  const lines = hop.hostKeys.map((blob) => `echo '${alias} ${publicKeyLine(parsePublicKey(blob))}'`);
  // ssh puts in what the host shows: its key's fingerprint, type and base64.
  const pinned = hop.pins.map((pin) => `case '%f' in '${pin}') echo '${alias} %t %K' ;; esac`);
  return `/bin/sh -c "${[...lines, ...pinned, ":"].join("; ")}"`;
}

function forwardSpec(bind: SshForward["bind"], target: TargetAddress): string {
  const from = bind.kind === "unix" ? path(bind.path) : `${bracketed(bind.address)}:${bind.port}`;
  const to = target.kind === "unix" ? path(target.path) : `${bracketed(target.host)}:${target.port}`;
  return `${from}:${to}`;
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

/** ssh(1) expands `%` and `${}` in paths of sockets, and takes what follows a backslash literally. */
function path(text: string): string {
  if (text.includes("${")) {
    throw new CodedError(
      "usage.invalid",
      `cannot use the socket ${text} with --engine openssh: it holds "\${"`,
      {
        leg: "bind",
      },
    );
  }
  return withoutTokens(text).replace(/[\\:]/g, "\\$&");
}

function withoutTokens(text: string): string {
  return text.replaceAll("%", "%%");
}

function options(list: readonly string[]): string[] {
  return list.flatMap((option) => ["-o", option]);
}

function lastOf(route: readonly SshHop[]): SshHop {
  const last = route.at(-1);
  if (last === undefined) throw new Error("a route without a hop");
  return last;
}

import type { BindAddress, TargetAddress } from "@farside/protocol";
import { CodedError } from "@farside/protocol";
import { type HostAuthorities, parsePublicKey, publicKeyLine } from "@farside/ssh";
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

/** What is accepted as a hop's host key besides its declared ones. */
export interface HopTrust {
  /** Fingerprints, `SHA256:…`. */
  readonly pins: readonly string[];
  /** Who may certify its key. */
  readonly authorities?: HostAuthorities | undefined;
}
export interface SshHop extends DeclaredHop, HopTrust {}

/** Algorithms by type of host key, in ssh's order of preference. */
const KEY_ALGORITHMS = [
  ...["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"].map(
    (type) => [type, type] as const,
  ),
  ["ssh-rsa", "rsa-sha2-512,rsa-sha2-256"],
] as const;
/** ssh gets so many revoked keys, as a command line has its limit; all of them are refused by the guard. */
const MAX_TOLD_REVOKED = 100;
/** What a name must be to stand in a line of known_hosts and in a shell's quotes. */
const PLAIN_NAME = /^[A-Za-z0-9._:-]+$/;

/**
 * The name that the host key of a hop is looked up by: no address of it may stand for another. Where a certificate is
 * to be for it, that has to be its own name.
 */
export function hostKeyAlias({ hopId, authorities }: Pick<SshHop, "hopId" | "authorities">): string {
  return authorities?.name ?? `farside-${hopId}`;
}

/** `hop` as ssh(1) is told of it: with what farside can read, and authorities only where the host's name can be told. */
export function sshHop(hop: DeclaredHop, { pins, authorities }: HopTrust): SshHop {
  const isNameable = authorities !== undefined && PLAIN_NAME.test(authorities.name);
  return {
    ...{ ...hop, hostKeys: hop.hostKeys.filter(isReadable), pins },
    authorities: isNameable
      ? {
          ...authorities,
          keys: authorities.keys.filter(isReadable),
          revoked: authorities.revoked.filter(isReadable),
        }
      : undefined,
  };
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
    ...options(hostKeyAlgorithms(hop)),
    ...options([proxy === undefined ? "ProxyCommand=none" : `ProxyCommand=${withoutTokens(proxy)}`]),
  ];
}

function destination({ user, host, port }: DeclaredHop): string[] {
  return ["-l", user, "-p", String(port), "--", host];
}

/**
 * Without an authority for it, a certificate of the host would only hide its key: then those are not asked for, and ssh
 * no longer chooses by what is known, so that it is told. Else it does: a certificate first.
 */
function hostKeyAlgorithms({ hostKeys, pins, authorities }: SshHop): string[] {
  if (authorities !== undefined) return [];
  const types = hostKeys.map((blob) => parsePublicKey(blob).type);
  const isKnown = ([type]: (typeof KEY_ALGORITHMS)[number]) => types.includes(type);
  // Of which type a pinned key is, nobody knows.
  const others = pins.length === 0 ? [] : KEY_ALGORITHMS.filter((entry) => !isKnown(entry));
  const known = [...KEY_ALGORITHMS.filter(isKnown), ...others];
  return [`HostKeyAlgorithms=${known.map(([, algorithms]) => algorithms).join(",")}`];
}

/** Prints the declared keys: ssh(1) runs it, without a shell of the user's, each time it wants to know one. */
function knownHostsCommand(hop: SshHop): string {
  const alias = hostKeyAlias(hop);
  const line = (marker: string) => (blob: Uint8Array) =>
    `echo '${marker}${alias} ${publicKeyLine(parsePublicKey(blob))}'`;
  const { keys = [], revoked = [] } = hop.authorities ?? {};
  const lines = [
    ...keys.map(line("@cert-authority ")),
    ...revoked.slice(0, MAX_TOLD_REVOKED).map(line("@revoked ")),
    ...hop.hostKeys.map(line("")),
  ];
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

function isReadable(blob: Uint8Array): boolean {
  try {
    parsePublicKey(blob);
    return true;
  } catch {
    return false;
  }
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

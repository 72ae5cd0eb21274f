import { isIP, isIPv6 } from "node:net";
import { CodedError, harmless, MAX_HOPS } from "@farside/protocol";

/** A host as people write it on the command line; what is not written comes from ssh_config. */
export interface HopSpec {
  readonly user: string | undefined;
  /** Host name, address, or an alias of ssh_config. */
  readonly host: string;
  readonly port: number | undefined;
}

/**
 * Reads `[user@]host[:port]`, `ssh://[user@]host[:port]`, with IPv6 in brackets (or bare, without a port). `what` names
 * the argument in errors: `--via`, `-J`, `the jump host`. Throws `usage.invalid`.
 */
export function parseHopSpec(text: string, what: string): HopSpec {
  const fail = (why: string): never => {
    throw new CodedError("usage.invalid", `cannot read ${what} ${quoted(text)}: ${why}`, {
      hint: "Write [user@]host[:port], with IPv6 addresses in brackets.",
    });
  };
  if (text === "") fail("it is empty");
  if (/[\p{Cc}\s]/u.test(text)) fail("it holds a space or a control character");
  const isUrl = text.startsWith("ssh://");
  const body = isUrl ? text.slice("ssh://".length).replace(/\/$/, "") : text;
  // The last @, as in ssh: a user name may hold one.
  const split = body.lastIndexOf("@");
  const user = split < 0 ? undefined : readUser(body.slice(0, split), isUrl, fail);
  return { user, ...readHostPort(body.slice(split + 1), fail) };
}

/** Reads a comma list of hops, or several lists. Empty lists give no hops; an empty item is an error. */
export function parseHopList(lists: string | readonly string[], what: string): HopSpec[] {
  const texts = typeof lists === "string" ? [lists] : lists;
  const hops = texts.flatMap((text) => text.split(",").map((item) => parseHopSpec(item.trim(), what)));
  if (hops.length > MAX_HOPS) {
    throw new CodedError(
      "usage.invalid",
      `cannot use ${what}: ${hops.length} hops, at most ${MAX_HOPS} are possible`,
    );
  }
  return hops;
}

/** `user@host:port` as it was written, for messages. */
export function formatHopSpec({ user, host, port }: HopSpec): string {
  const name = isIPv6(host) && port !== undefined ? `[${host}]` : host;
  return `${user === undefined ? "" : `${user}@`}${name}${port === undefined ? "" : `:${port}`}`;
}

const quoted = (text: string): string => `"${harmless(text, 300)}"`;

type Fail = (why: string) => never;

function readUser(text: string, isUrl: boolean, fail: Fail): string {
  let user = text;
  if (isUrl) {
    try {
      user = decodeURIComponent(text);
    } catch {
      fail("the user name has a false percent sign");
    }
  }
  if (user === "") fail("the user name is empty");
  if (user.length > 255) fail("the user name is too long");
  if (user.includes("://")) fail("the user name holds ://");
  // As ssh: these would end up in shells and ProxyCommands.
  if (user.startsWith("-") || /['"`$\\;&<>|(){}\p{Cc}\s]/u.test(user)) {
    fail("the user name holds characters that can't stand in one");
  }
  return user;
}

function readHostPort(text: string, fail: Fail): { host: string; port: number | undefined } {
  if (isIPv6(text)) return { host: text, port: undefined };
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed !== null) {
    const host = bracketed[1] ?? "";
    if (isIP(host) === 0) fail("what stands in brackets is not an IP address");
    return { host, port: readPort(bracketed[2], fail) };
  }
  const colon = text.indexOf(":");
  const host = colon < 0 ? text : text.slice(0, colon);
  if (host === "") fail("the host is missing");
  if (text.indexOf(":", colon + 1) > colon && colon >= 0) fail("it has too many colons");
  if (host.length > 255 || !/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(host)) {
    fail(`${quoted(host)} is not a host name`);
  }
  return { host, port: readPort(colon < 0 ? undefined : text.slice(colon + 1), fail) };
}

function readPort(text: string | undefined, fail: Fail): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 65_535) {
    fail(`the port is not a number from 1 to 65535: ${quoted(text)}`);
  }
  return Number(text);
}

import { createHmac, timingSafeEqual } from "node:crypto";
import { keyTypeOf } from "./public-key-type.ts";

/** One usable line of a known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export interface KnownHostsEntry {
  readonly file: string;
  readonly line: number;
  readonly marker: "" | "@revoked" | "@cert-authority";
  readonly hosts: string;
  readonly type: string;
  readonly blob: Buffer;
}

/** The entries of a file's text; lines that ssh(1) would skip are skipped. */
export function parseKnownHosts(text: string, file: string): KnownHostsEntry[] {
  return text.split("\n").flatMap((line, index) => parseLine(line, file, index + 1) ?? []);
}

function parseLine(text: string, file: string, line: number): KnownHostsEntry | undefined {
  const fields = text.trim().split(/[ \t]+/u);
  const marker = fields[0]?.startsWith("@") ? fields.shift() : "";
  if (marker !== "" && marker !== "@revoked" && marker !== "@cert-authority") return undefined;
  const [hosts = "", type = "", base64 = ""] = fields;
  if (hosts === "" || hosts.startsWith("#") || !/^[A-Za-z0-9+/]+={0,2}$/u.test(base64)) return undefined;
  const blob = Buffer.from(base64, "base64");
  try {
    if (keyTypeOf(blob) !== type) return undefined;
  } catch {
    return undefined;
  }
  return { file, line, marker, hosts, type, blob };
}

/** How known_hosts spells a host: `[host]:port`, or `host` alone for port 22. */
export function knownHostsName(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/** Whether the hosts field of a line stands for `name` (from `knownHostsName`): hashed, or patterns with `*`, `?` and `!`. */
export function matchesHosts(hosts: string, name: string): boolean {
  if (hosts.startsWith("|1|")) return matchesHash(hosts, name);
  let isMatch = false;
  for (const pattern of hosts.toLowerCase().split(",")) {
    const isNegated = pattern.startsWith("!");
    if (!matchesPattern(isNegated ? pattern.slice(1) : pattern, name)) continue;
    if (isNegated) return false;
    isMatch = true;
  }
  return isMatch;
}

/** The hashed form of `name` (HashKnownHosts): HMAC-SHA1 under a salt, which is what OpenSSH reads. */
export function hashedName(name: string, salt: Uint8Array): string {
  const encodedSalt = Buffer.from(salt).toString("base64");
  return `|1|${encodedSalt}|${createHmac("sha1", salt).update(name).digest("base64")}`;
}

function matchesHash(hosts: string, name: string): boolean {
  const [, , salt = "", hash = ""] = hosts.split("|");
  const wanted = Buffer.from(hash, "base64");
  const actual = createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest();
  return wanted.length === actual.length && timingSafeEqual(wanted, actual);
}

/** Whether `text` is what `pattern` with `*` and `?` stands for. Linear time: on a mismatch only the last star is tried again. */
export function matchesPattern(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let mark = 0;
  while (t < text.length) {
    if (pattern[p] === "*") {
      star = p;
      mark = t;
      p += 1;
    } else if (pattern[p] === "?" || pattern[p] === text[t]) {
      p += 1;
      t += 1;
    } else if (star >= 0) {
      mark += 1;
      p = star + 1;
      t = mark;
    } else {
      return false;
    }
  }
  while (pattern[p] === "*") p += 1;
  return p === pattern.length;
}

import { isIP } from "node:net";
import { type BindAddress, CodedError, harmless, type TargetAddress } from "@farside/protocol";
import { servicePort } from "./service-port.ts";

/** What one `-L` asks for: where the jump host listens, and where each connection goes from the last hop. */
export interface ForwardSpec {
  readonly bind: BindAddress;
  readonly target: TargetAddress;
}

/** Address of a bind that takes every address of the host, as `*` and an empty bind address do in ssh(1). */
export const ANY_ADDRESS = "*";

interface Field {
  readonly text: string;
  readonly isPath: boolean;
}

/**
 * Reads a `-L` argument as ssh(1) does: `[bind_address:]port:host:hostport`, `[bind_address:]port:remote_socket`,
 * `local_socket:host:hostport` or `local_socket:remote_socket`; a field in brackets is taken literally (IPv6), `\`
 * takes the next character literally; a port may be a service of /etc/services. Other than ssh, port 0 takes a free port. Throws
 * `usage.invalid` that names the part that is wrong.
 */
export function parseForwardSpec(spec: string): ForwardSpec {
  const fail = (part: string, what: string): never => {
    throw new CodedError("usage.invalid", `cannot read -L "${harmless(spec)}": ${part} ${what}`, {
      hint: "Write [bind_address:]port:host:hostport, socket:host:hostport, port:remote_socket or socket:remote_socket.",
    });
  };
  const fields = splitFields(spec, fail);
  const [first, second, third, fourth] = fields;
  if (first === undefined || second === undefined) return fail("the target", "is missing");
  if (fields.length > 4) return fail("the target", "has too many parts; write IPv6 addresses in brackets");
  const port = (field: Field, part: string) => readPort(field, part, fail);

  if (fourth !== undefined && third !== undefined) {
    return {
      bind: bindTo(first, port(second, "the port to listen on"), fail),
      target: tcpTarget(third, fourth, fail),
    };
  }
  if (third !== undefined) {
    if (first.isPath)
      return { bind: unixAddress(first, "the socket", fail), target: tcpTarget(second, third, fail) };
    if (third.isPath) {
      const bind = bindTo(first, port(second, "the port to listen on"), fail);
      return { bind, target: unixAddress(third, "the remote socket", fail) };
    }
    const bind = { kind: "loopback" as const, port: port(first, "the port to listen on") };
    return { bind, target: tcpTarget(second, third, fail) };
  }
  if (!second.isPath) return fail("the target", "must be host:hostport or the path of a socket");
  const target = unixAddress(second, "the remote socket", fail);
  if (first.isPath) return { bind: unixAddress(first, "the socket", fail), target };
  return { bind: { kind: "loopback", port: port(first, "the port to listen on") }, target };
}

/** What alone stands before the target in a `-L`: `[bind_address:]port` or a socket's path. Throws `usage.invalid`. */
export function parseBind(text: string): BindAddress {
  const fail = failOf(text, "Write [bind_address:]port, or the path of a socket.");
  const [first, second, third] = splitFields(text, fail);
  if (first === undefined || third !== undefined) return fail("it", "has too many parts");
  if (second !== undefined) return bindTo(first, readPort(second, "the port to listen on", fail), fail);
  if (first.isPath) return unixAddress(first, "the socket", fail);
  return { kind: "loopback", port: readPort(first, "the port to listen on", fail) };
}

/** What alone stands behind the bind in a `-L`: `host:hostport` or the path of a remote socket. Throws `usage.invalid`. */
export function parseTarget(text: string): TargetAddress {
  const fail = failOf(text, "Write host:hostport, or the path of a socket.");
  const [first, second, third] = splitFields(text, fail);
  if (first === undefined || third !== undefined) return fail("it", "has too many parts");
  if (second !== undefined) return tcpTarget(first, second, fail);
  return first.isPath
    ? unixAddress(first, "the remote socket", fail)
    : fail("the target", "must be host:hostport or the path of a socket");
}

function failOf(text: string, hint: string): Fail {
  return (part, what) => {
    throw new CodedError("usage.invalid", `cannot read ${JSON.stringify(text)}: ${part} ${what}`, { hint });
  };
}

/** `bind` as people read it: `localhost:4444`, `[::]:80`, `*:80`, `/run/x.sock`. */
export function formatBind(bind: BindAddress): string {
  if (bind.kind === "unix") return bind.path;
  return bind.kind === "loopback" ? `localhost:${bind.port}` : formatHostPort(bind.address, bind.port);
}

/** `target` as people read it: `localhost:4444`, `[::1]:22`, `/run/x.sock`. */
export function formatTarget(target: TargetAddress): string {
  return target.kind === "unix" ? target.path : formatHostPort(target.host, target.port);
}

export function formatHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

type Fail = (part: string, what: string) => never;

const quoted = (text: string): string => `"${harmless(text, 300)}"`;

const FIELD_NAMES = ["the first part", "the second part", "the third part", "the fourth part"];

function splitFields(spec: string, fail: Fail): Field[] {
  if (/\p{Cc}/u.test(spec)) fail("it", "holds a control character");
  const fields: Field[] = [];
  let rest = spec.trimStart();
  if (rest === "") fail("it", "is empty");
  while (fields.length <= 4) {
    const part = FIELD_NAMES[fields.length] ?? "the end";
    const { field, after } = rest.startsWith("[") ? bracketed(rest, part, fail) : plain(rest, part, fail);
    fields.push(field);
    if (after === undefined) break;
    rest = after;
    if (rest === "") fail("the last part", "is empty");
  }
  return fields;
}

/** `after` is what follows the field's colon; undefined where there is none. */
interface Split {
  readonly field: Field;
  readonly after: string | undefined;
}

function bracketed(rest: string, part: string, fail: Fail): Split {
  const end = rest.indexOf("]");
  if (end < 0) fail(part, "has no closing bracket");
  const behind = rest[end + 1];
  if (behind !== undefined && behind !== ":") fail(part, "goes on behind its closing bracket");
  const text = rest.slice(1, end);
  return {
    field: { text, isPath: text.includes("/") },
    after: behind === undefined ? undefined : rest.slice(end + 2),
  };
}

function plain(rest: string, part: string, fail: Fail): Split {
  let text = "";
  // As for ssh, a slash that is taken literally makes no path.
  let isPath = false;
  for (let at = 0; at < rest.length; at += 1) {
    const character = rest[at];
    if (character === ":") return { field: { text, isPath }, after: rest.slice(at + 1) };
    if (character === "/") isPath = true;
    if (character === "\\") {
      at += 1;
      if (at >= rest.length) fail(part, "ends in a backslash");
    }
    text += rest[at];
  }
  return { field: { text, isPath }, after: undefined };
}

function readPort({ text }: Field, part: string, fail: Fail): number {
  if (text === "") fail(part, "is missing");
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  const port = /^\d+$/.test(text) ? undefined : servicePort(text);
  return (
    port ??
    fail(part, `is not a port number from 0 to 65535, nor a service of /etc/services: ${quoted(text)}`)
  );
}

function bindTo(address: Field, port: number, fail: Fail): BindAddress {
  const { text } = address;
  if (address.isPath) fail("the bind address", `is not an address: ${quoted(text)}`);
  if (text === "localhost") return { kind: "loopback", port };
  if (text === "" || text === "*") return { kind: "tcp", address: ANY_ADDRESS, port };
  checkHost(text, "the bind address", fail);
  return { kind: "tcp", address: text, port };
}

function tcpTarget(host: Field, port: Field, fail: Fail): TargetAddress {
  if (host.isPath) fail("the target host", `is not a host name: ${quoted(host.text)}`);
  checkHost(host.text, "the target host", fail);
  const number = readPort(port, "the target port", fail);
  if (number === 0) fail("the target port", "must not be 0");
  return { kind: "tcp", host: host.text, port: number };
}

function checkHost(text: string, part: string, fail: Fail): void {
  if (text === "") fail(part, "is missing");
  if (text.length > 255) fail(part, "is longer than 255 characters");
  if (isIP(text) === 0 && !/^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?$/.test(text)) {
    fail(part, `is neither a host name nor an IP address: ${quoted(text)}`);
  }
}

/** Longest path that fits sockaddr_un on Linux, without its closing NUL. */
const MAX_SOCKET_PATH_BYTES = 107;

function unixAddress({ text }: Field, part: string, fail: Fail): { kind: "unix"; path: string } {
  if (!text.includes("/")) fail(part, `is not a path: ${quoted(text)}`);
  if (text.endsWith("/")) fail(part, "is a folder's name");
  if (Buffer.byteLength(text) > MAX_SOCKET_PATH_BYTES)
    fail(part, `is longer than ${MAX_SOCKET_PATH_BYTES} bytes`);
  return { kind: "unix", path: text };
}

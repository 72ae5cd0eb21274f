import type { Duplex } from "node:stream";
import type { Client } from "ssh2";

/**
 * What farside uses of ssh2 1.17.0 beneath its documented interface, in one place: ssh2's own authentication never tries
 * rsa-sha2-512 beside rsa-sha2-256, falls back to SHA-1, goes on with the next key after a failed signature, hides
 * partial success, and does not hold servers to the window of a channel. The version is pinned exactly; a test fails
 * when a new one has another shape.
 */
export interface Ssh2Internals {
  readonly _protocol: Ssh2Protocol;
  readonly _chanMgr: { get(id: number): unknown };
  /** What an agent channel of the host is connected to, once a command was started with `agentForward`. */
  _agent: Ssh2Agent | undefined;
}

export interface Ssh2Agent {
  getStream(done: (error: Error | undefined, stream?: Duplex) => void): void;
}

export interface Ssh2Protocol {
  readonly _handlers: Ssh2Handlers;
  /** Without `sign`: asks whether the key would do. With it: calls `sign` at once and sends the request when `send` is called. */
  authPK(
    user: string,
    publicKey: Buffer,
    algorithm: string,
    sign?: (data: Buffer, send: (signature: Buffer) => void) => void,
  ): void;
  authKeyboard(user: string): void;
  authInfoRes(answers: string[]): void;
  channelOpenFail(sender: number, reason: number, description: string): void;
}

/** Handlers of incoming messages, called in the order of arrival with the protocol as first argument. */
export interface Ssh2Handlers {
  EXT_INFO: (protocol: unknown, extensions: readonly { name: string; algs?: string[] }[]) => void;
  USERAUTH_BANNER: (protocol: unknown, text: string) => void;
  USERAUTH_SUCCESS: (protocol: unknown) => void;
  USERAUTH_FAILURE: (protocol: unknown, methods: string[] | undefined, partialSuccess: boolean) => void;
  USERAUTH_PK_OK: (protocol: unknown, algorithm: string, key: Buffer) => void;
  USERAUTH_INFO_REQUEST: (
    protocol: unknown,
    name: string,
    instructions: string,
    prompts: readonly { prompt: string; echo: boolean }[],
  ) => void;
  CHANNEL_DATA: (protocol: unknown, channel: number, data: Buffer) => void;
  CHANNEL_EXTENDED_DATA: (protocol: unknown, channel: number, data: Buffer, type: number) => void;
  GLOBAL_REQUEST: (protocol: unknown, name: string, wantReply: boolean, data: unknown) => void;
  CHANNEL_OPEN: (protocol: unknown, channel: { readonly type: string; readonly sender: number }) => void;
  CHANNEL_REQUEST: (...args: unknown[]) => void;
}

const handlerNames = [
  "EXT_INFO",
  "USERAUTH_BANNER",
  "USERAUTH_SUCCESS",
  "USERAUTH_FAILURE",
  "USERAUTH_PK_OK",
  "USERAUTH_INFO_REQUEST",
  "CHANNEL_DATA",
  "CHANNEL_EXTENDED_DATA",
  "GLOBAL_REQUEST",
  "CHANNEL_OPEN",
  "CHANNEL_REQUEST",
] as const satisfies readonly (keyof Ssh2Handlers)[];

/** The internals of a client whose `connect` was called; a plain `Error` where ssh2 is not as expected. */
export function internalsOf(client: Client): Ssh2Internals {
  const internals = client as unknown as Ssh2Internals;
  const protocol = internals._protocol;
  const isAsExpected =
    typeof protocol?.authPK === "function" &&
    typeof protocol.authKeyboard === "function" &&
    typeof protocol.authInfoRes === "function" &&
    typeof protocol.channelOpenFail === "function" &&
    typeof internals._chanMgr?.get === "function" &&
    handlerNames.every((name) => typeof protocol._handlers?.[name] === "function");
  if (!isAsExpected) throw new Error("ssh2 is not the version that farside was written for");
  return internals;
}

/** What may wait for a host that does not read. Ours is bounded by its windows; answers to its questions are not. */
const maxUnreadBytes = 64 * 1024 * 1024;
/** sshd announces its host keys once. ssh2 takes 20 ms for a packet of them, and keeps them until they are proved. */
const maxAnnouncements = 4;
const announcement = "hostkeys-00@openssh.com";
/** The only channel that a host may open, and only where an agent was lent to it: nothing else is ever asked for. */
const agentChannel = "auth-agent@openssh.com";
/** RFC 4254, 5.1: SSH_OPEN_ADMINISTRATIVELY_PROHIBITED. */
const prohibited = 1;

/**
 * Holds the host to what ssh2 does not: the windows of its channels (ssh2 would buffer whatever comes), reading our
 * answers before it asks on, opening no channels of its own, and announcing its host keys once. `onViolation` is called
 * once, with what the host did; from then on nothing of it is taken.
 */
export function enforceLimits(
  { _protocol, _chanMgr }: Ssh2Internals,
  stream: { readonly writableLength: number },
  onViolation: (what: string) => void,
): void {
  const handlers = _protocol._handlers;
  const { CHANNEL_DATA, CHANNEL_EXTENDED_DATA, GLOBAL_REQUEST, CHANNEL_OPEN, CHANNEL_REQUEST } = handlers;
  let isViolated = false;
  const holds = (isKept: boolean, what: string) => {
    if (isKept && !isViolated) return true;
    if (!isViolated) onViolation(what);
    isViolated = true;
    return false;
  };
  const fits = (id: number, { length }: Buffer) => {
    const channel = _chanMgr.get(id) as { incoming?: { window?: number } } | undefined;
    return holds(length <= (channel?.incoming?.window ?? length), "overran a channel's window");
  };
  const reads = () => holds(stream.writableLength <= maxUnreadBytes, "asks and does not read the answers");
  handlers.CHANNEL_DATA = (protocol, id, data) => {
    if (fits(id, data)) CHANNEL_DATA(protocol, id, data);
  };
  handlers.CHANNEL_EXTENDED_DATA = (protocol, id, data, type) => {
    if (fits(id, data)) CHANNEL_EXTENDED_DATA(protocol, id, data, type);
  };
  let announcements = 0;
  handlers.GLOBAL_REQUEST = (protocol, name, wantReply, data) => {
    if (name === announcement) {
      announcements += 1;
      if (!holds(announcements <= maxAnnouncements, "announces its host keys again and again")) return;
      if (announcements > 1) return;
    }
    if (reads()) GLOBAL_REQUEST(protocol, name, wantReply, data);
  };
  handlers.CHANNEL_OPEN = (protocol, channel) => {
    if (!reads()) return;
    if (channel.type === agentChannel) CHANNEL_OPEN(protocol, channel);
    else _protocol.channelOpenFail(channel.sender, prohibited, "");
  };
  handlers.CHANNEL_REQUEST = (...args) => {
    if (reads()) CHANNEL_REQUEST(...args);
  };
}

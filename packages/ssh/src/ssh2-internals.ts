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
] as const satisfies readonly (keyof Ssh2Handlers)[];

/** The internals of a client whose `connect` was called; a plain `Error` where ssh2 is not as expected. */
export function internalsOf(client: Client): Ssh2Internals {
  const internals = client as unknown as Ssh2Internals;
  const protocol = internals._protocol;
  const isAsExpected =
    typeof protocol?.authPK === "function" &&
    typeof protocol.authKeyboard === "function" &&
    typeof protocol.authInfoRes === "function" &&
    typeof internals._chanMgr?.get === "function" &&
    handlerNames.every((name) => typeof protocol._handlers?.[name] === "function");
  if (!isAsExpected) throw new Error("ssh2 is not the version that farside was written for");
  return internals;
}

/**
 * Holds the server to the windows of its channels: ssh2 would buffer whatever comes. `onViolation` is called once for
 * the first packet that overruns one, and neither that packet nor any later one is taken.
 */
export function enforceWindows({ _protocol, _chanMgr }: Ssh2Internals, onViolation: () => void): void {
  const handlers = _protocol._handlers;
  const { CHANNEL_DATA, CHANNEL_EXTENDED_DATA } = handlers;
  let isViolated = false;
  const fits = (id: number, length: number) => {
    const channel = _chanMgr.get(id) as { incoming?: { window?: number } } | undefined;
    const window = channel?.incoming?.window;
    if (!isViolated && (window === undefined || length <= window)) return true;
    if (!isViolated) onViolation();
    isViolated = true;
    return false;
  };
  handlers.CHANNEL_DATA = (protocol, id, data) => {
    if (fits(id, data.length)) CHANNEL_DATA(protocol, id, data);
  };
  handlers.CHANNEL_EXTENDED_DATA = (protocol, id, data, type) => {
    if (fits(id, data.length)) CHANNEL_EXTENDED_DATA(protocol, id, data, type);
  };
}

import { encodeString, WireReader } from "./wire.ts";

const userauthRequest = 50;
const publicKeyMethod = "publickey";
const hostBoundMethod = "publickey-hostbound-v00@openssh.com";

/** What a publickey login signs (RFC 4252, 7; OpenSSH's PROTOCOL, 1.8, for the host-bound form). Text is bytes, as the host compares it. */
export interface UserauthRequest {
  readonly sessionId: Buffer;
  readonly user: Buffer;
  readonly service: Buffer;
  readonly method: Buffer;
  readonly algorithm: string;
  readonly publicKey: Buffer;
  /** Of the host-bound form only: the host key that the login is meant for. */
  readonly hostKey: Buffer | undefined;
}

/**
 * Reads the form of data to be signed. Throws `RangeError` on whatever is not, to the last byte, a userauth request with a
 * key: the data of other protocols (SSHSIG, commits, certificates) never passes. Judges no value, not even the method's:
 * see `isPublicKeyMethod`.
 */
export function parseUserauthRequest(data: Uint8Array): UserauthRequest {
  const reader = new WireReader(data);
  const sessionId = reader.string();
  if (reader.byte() !== userauthRequest) throw new RangeError("not a userauth request");
  const [user, service, method] = [reader.string(), reader.string(), reader.string()];
  if (reader.byte() !== 1) throw new RangeError("a question about a key, not a login");
  const [algorithm, publicKey] = [reader.name(), reader.string()];
  const hostKey = method.equals(Buffer.from(hostBoundMethod)) ? reader.string() : undefined;
  reader.end();
  return { sessionId, user, service, method, algorithm, publicKey, hostKey };
}

export function isPublicKeyMethod(method: Buffer): boolean {
  return [publicKeyMethod, hostBoundMethod].some((name) => method.equals(Buffer.from(name)));
}

/** The fields of a request that is to be written; `hostKey` makes it the host-bound form. */
export interface UserauthFields {
  readonly sessionId: Uint8Array;
  readonly user: string;
  readonly algorithm: string;
  readonly publicKey: Uint8Array;
  readonly hostKey?: Uint8Array | undefined;
}

/** The data that a login to `ssh-connection` signs. */
export function encodeUserauthRequest({
  sessionId,
  user,
  algorithm,
  publicKey,
  hostKey,
}: UserauthFields): Buffer {
  return Buffer.concat([
    encodeString(sessionId),
    Buffer.of(userauthRequest),
    encodeString(user),
    encodeString("ssh-connection"),
    encodeString(hostKey === undefined ? publicKeyMethod : hostBoundMethod),
    Buffer.of(1),
    encodeString(algorithm),
    encodeString(publicKey),
    ...(hostKey === undefined ? [] : [encodeString(hostKey)]),
  ]);
}

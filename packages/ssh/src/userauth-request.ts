import { encodeString, WireReader } from "./wire.ts";

const userauthRequest = 50;
const hostBound = "publickey-hostbound-v00@openssh.com";

/** What is signed to log in (RFC 4252, 7; OpenSSH's PROTOCOL, 1.8, for the host-bound form). */
export interface UserauthRequest {
  readonly sessionId: Uint8Array;
  readonly user: string;
  readonly service: string;
  readonly method: "publickey" | "publickey-hostbound-v00@openssh.com";
  readonly algorithm: string;
  readonly publicKey: Uint8Array;
  /** Of the host-bound form only: the host key that the login is meant for. */
  readonly hostKey?: Uint8Array | undefined;
}

/**
 * Reads data to be signed. Throws `RangeError` on whatever is not, to the last byte, a publickey login: the data of other
 * protocols (SSHSIG, commits, certificates) never passes.
 */
export function parseUserauthRequest(data: Uint8Array): UserauthRequest {
  const reader = new WireReader(data);
  const sessionId = Uint8Array.from(reader.string());
  if (sessionId.length < 20 || sessionId.length > 64) throw new RangeError("not a session identifier");
  if (reader.byte() !== userauthRequest) throw new RangeError("not a userauth request");
  const user = utf8(reader.string());
  const service = reader.name();
  const method = reader.name();
  if (method !== "publickey" && method !== hostBound) throw new RangeError("not a publickey login");
  if (reader.byte() !== 1) throw new RangeError("a question about a key, not a login");
  const algorithm = reader.name();
  const publicKey = Uint8Array.from(reader.string());
  const hostKey = method === hostBound ? Uint8Array.from(reader.string()) : undefined;
  reader.end();
  return { sessionId, user, service, method, algorithm, publicKey, hostKey };
}

export function encodeUserauthRequest(request: UserauthRequest): Buffer {
  return Buffer.concat([
    encodeString(request.sessionId),
    Buffer.of(userauthRequest),
    encodeString(request.user),
    encodeString(request.service),
    encodeString(request.method),
    Buffer.of(1),
    encodeString(request.algorithm),
    encodeString(request.publicKey),
    ...(request.hostKey === undefined ? [] : [encodeString(request.hostKey)]),
  ]);
}

function utf8(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  if (!Buffer.from(text, "utf8").equals(bytes)) throw new RangeError("a user name that is not UTF-8");
  return text;
}

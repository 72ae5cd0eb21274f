import { WireReader } from "@farside/ssh/wire";

const SSH_MSG_USERAUTH_REQUEST = 50;
const HOSTBOUND_METHOD = "publickey-hostbound-v00@openssh.com";

/** What a publickey userauth signature is made over (RFC 4252, section 7; OpenSSH's PROTOCOL, section 1.8). */
export interface UserauthRequest {
  readonly sessionId: Buffer;
  /** Bytes of the user name: what the server compares. */
  readonly user: Buffer;
  readonly service: Buffer;
  readonly method: Buffer;
  readonly algorithm: string;
  readonly publicKey: Buffer;
  /** Host key that the hostbound form of the method names. */
  readonly boundHostKey: Buffer | undefined;
}

/** Reads the bytes that are to be signed. Undefined where they are anything else, down to one byte too many. */
export function parseUserauthRequest(data: Uint8Array): UserauthRequest | undefined {
  try {
    const reader = new WireReader(data);
    const sessionId = reader.string();
    if (reader.byte() !== SSH_MSG_USERAUTH_REQUEST) return undefined;
    const [user, service, method] = [reader.string(), reader.string(), reader.string()];
    const hasSignature = reader.byte();
    if (hasSignature !== 1) return undefined;
    const [algorithm, publicKey] = [reader.name(), reader.string()];
    const boundHostKey = method.equals(Buffer.from(HOSTBOUND_METHOD)) ? reader.string() : undefined;
    reader.end();
    return { sessionId, user, service, method, algorithm, publicKey, boundHostKey };
  } catch {
    return undefined;
  }
}

export function isPublicKeyMethod(method: Buffer): boolean {
  return method.equals(Buffer.from("publickey")) || method.equals(Buffer.from(HOSTBOUND_METHOD));
}

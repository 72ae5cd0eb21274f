import type { SignParams } from "@farside/protocol";
import { encodeString, WireReader } from "@farside/ssh/wire";

/** Every field of a sign request, down to those within its keys and its proof, in the order of the wire. */
export interface SignRequestParts {
  readonly hopId: Buffer;
  readonly sessionId: Buffer;
  readonly messageNumber: Buffer;
  readonly user: Buffer;
  readonly service: Buffer;
  readonly method: Buffer;
  readonly hasSignature: Buffer;
  readonly algorithm: Buffer;
  readonly keyType: Buffer;
  readonly keyValue: Buffer;
  /** Of the host-bound form only. */
  readonly boundHostKey: Buffer | undefined;
  /** Behind the request: nothing, in a good one. */
  readonly dataTail: Buffer;
  readonly hostKeyType: Buffer;
  readonly hostKeyValue: Buffer;
  readonly proofAlgorithm: Buffer;
  readonly proofValue: Buffer;
  /** Behind the proof: nothing, in a good one. */
  readonly proofTail: Buffer;
}

export const HOST_BOUND = "publickey-hostbound-v00@openssh.com";
const none = Buffer.alloc(0);

/** A good request in its parts. */
export function takeApart(request: SignParams): SignRequestParts {
  const data = new WireReader(request.data);
  const [sessionId, messageNumber] = [data.string(), Buffer.of(data.byte())];
  const [user, service, method] = [data.string(), data.string(), data.string()];
  const hasSignature = Buffer.of(data.byte());
  const algorithm = data.string();
  const [keyType, keyValue] = typeAndRest(data.string());
  const boundHostKey = method.toString() === HOST_BOUND ? data.string() : undefined;
  const [hostKeyType, hostKeyValue] = typeAndRest(request.hostKey);
  const proof = new WireReader(request.serverSignature);
  return {
    ...{ hopId: Buffer.from(request.hopId), sessionId, messageNumber, user, service, method, hasSignature },
    ...{ algorithm, keyType, keyValue, boundHostKey, dataTail: none, hostKeyType, hostKeyValue },
    ...{ proofAlgorithm: proof.string(), proofValue: proof.string(), proofTail: none },
  };
}

/** The request that has these parts. */
export function putTogether(parts: SignRequestParts): SignParams {
  const { boundHostKey } = parts;
  return {
    hopId: parts.hopId.toString("latin1"),
    data: Buffer.concat([
      encodeString(parts.sessionId),
      parts.messageNumber,
      encodeString(parts.user),
      encodeString(parts.service),
      encodeString(parts.method),
      parts.hasSignature,
      encodeString(parts.algorithm),
      encodeString(Buffer.concat([encodeString(parts.keyType), parts.keyValue])),
      ...(boundHostKey === undefined ? [] : [encodeString(boundHostKey)]),
      parts.dataTail,
    ]),
    hostKey: Buffer.concat([encodeString(parts.hostKeyType), parts.hostKeyValue]),
    serverSignature: Buffer.concat([
      encodeString(parts.proofAlgorithm),
      encodeString(parts.proofValue),
      parts.proofTail,
    ]),
  };
}

/** The same login in the form that names the host key (OpenSSH's PROTOCOL, 1.8). */
export function hostBound(parts: SignRequestParts): SignRequestParts {
  const boundHostKey = Buffer.concat([encodeString(parts.hostKeyType), parts.hostKeyValue]);
  return { ...parts, method: Buffer.from(HOST_BOUND), boundHostKey };
}

function typeAndRest(blob: Uint8Array): [type: Buffer, rest: Buffer] {
  const reader = new WireReader(blob);
  const type = reader.string();
  return [type, Buffer.from(blob.subarray(4 + type.length))];
}

import { agentMessage } from "@farside/ssh";
import { encodeString, encodeUint32, WireReader } from "@farside/ssh/wire";

const SESSION_BIND = "session-bind@openssh.com";

/** What asks for something that a lent card never does, by its number, as events name it. */
const refusedRequests: Readonly<Record<number, string>> = {
  1: "list-keys-v1",
  9: "remove-all-identities-v1",
  17: "add-identity",
  18: "remove-identity",
  19: "remove-all-identities",
  20: "add-card",
  21: "remove-card",
  22: "lock",
  23: "unlock",
  25: "add-constrained-identity",
  26: "add-constrained-card",
};

/** One request of an ssh-agent client. Byte strings are views of the message. */
export type AgentRequest =
  | { readonly kind: "list" }
  | { readonly kind: "sign"; readonly key: Uint8Array; readonly data: Uint8Array; readonly flags: number }
  /** OpenSSH's PROTOCOL.agent, 1: the connection to a host whose userauth is to be signed. */
  | {
      readonly kind: "bind";
      readonly hostKey: Uint8Array;
      readonly sessionId: Uint8Array;
      readonly signature: Uint8Array;
      readonly isForwarding: boolean;
    }
  /** Anything else; `what` is one word for it, ours. */
  | { readonly kind: "other"; readonly what: string };

/** Reads the body of one message. Whatever is not to the last byte what it says it is, is `other`. */
export function parseAgentRequest(body: Uint8Array): AgentRequest {
  try {
    const reader = new WireReader(body);
    const request = read(reader.byte(), reader);
    if (request.kind !== "other") reader.end();
    return request;
  } catch {
    return { kind: "other", what: "malformed" };
  }
}

function read(type: number, reader: WireReader): AgentRequest {
  if (type === agentMessage.list) return { kind: "list" };
  if (type === agentMessage.sign) {
    return { kind: "sign", key: reader.string(), data: reader.string(), flags: reader.uint32() };
  }
  if (type !== agentMessage.extension) return { kind: "other", what: refusedRequests[type] ?? "request" };
  if (!reader.string().equals(Buffer.from(SESSION_BIND))) return { kind: "other", what: "extension" };
  const [hostKey, sessionId, signature] = [reader.string(), reader.string(), reader.string()];
  const flag = reader.byte();
  if (flag > 1) throw new RangeError("not a boolean");
  return { kind: "bind", hostKey, sessionId, signature, isForwarding: flag === 1 };
}

/** Answers, with their length in front. */
export const agentAnswer = {
  failure: () => encodeString(Buffer.of(agentMessage.failure)),
  success: () => encodeString(Buffer.of(agentMessage.success)),
  keys: (keys: readonly { readonly blob: Uint8Array; readonly comment: string }[]) =>
    encodeString(
      Buffer.concat([
        Buffer.of(agentMessage.keys),
        encodeUint32(keys.length),
        ...keys.flatMap(({ blob, comment }) => [encodeString(blob), encodeString(comment)]),
      ]),
    ),
  /** `signature`: algorithm name and value (RFC 4253, 6.6). */
  signature: (signature: Uint8Array) =>
    encodeString(Buffer.concat([Buffer.of(agentMessage.signature), encodeString(signature)])),
} as const;

/** The algorithm that an RSA key is asked for by the flags of a request; other keys have no choice. Undefined: none that is made here. */
export function algorithmOfFlags(keyType: string, flags: number): string | undefined {
  if (keyType !== "ssh-rsa") return flags === 0 ? keyType : undefined;
  return { 2: "rsa-sha2-256", 4: "rsa-sha2-512" }[flags];
}

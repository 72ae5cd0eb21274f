import { randomBytes } from "node:crypto";
import { type Duplex, duplexPair } from "node:stream";
import { encodeString, encodeUint32 } from "@farside/ssh/wire";
import { AgentFrames } from "../engine/openssh/agent-frames.ts";
import { GuardedAgent } from "../engine/openssh/guarded-agent.ts";
import type { SessionEventDraft } from "../event-log.ts";
import { makeTestKey, type UserauthFields, userauthData } from "./userauth.ts";

export const cardKey = makeTestKey("ssh-ed25519");
export const otherKey = makeTestKey("ssh-ed25519");
export const hostKey = makeTestKey("ssh-ed25519");
export const foreignHost = makeTestKey("ssh-ed25519");
export const hop = {
  ...{ hopId: "hop-1", user: "signer", host: "sign", port: 22 },
  ...{ hostKeys: [hostKey.blob as Uint8Array], publicKeys: [cardKey], pins: [] as string[] },
};
export const FAILURE = Buffer.of(5);
export const SUCCESS = Buffer.of(6);
export const LIST = Buffer.of(11);
export const sessionId = randomBytes(32);

export const bindMessage = ({
  key = hostKey as typeof hostKey,
  session = sessionId as Uint8Array,
  signature = key.signatureOver(session) as Uint8Array,
  forwarding = 0,
  tail = Buffer.alloc(0),
} = {}) =>
  Buffer.concat([
    Buffer.of(27),
    encodeString("session-bind@openssh.com"),
    ...[key.blob, session, signature].map(encodeString),
    Buffer.of(forwarding),
    tail,
  ]);
export const signMessage = (fields: Partial<UserauthFields> = {}, { key = cardKey.blob, flags = 0 } = {}) =>
  Buffer.concat([
    Buffer.of(13),
    encodeString(key),
    encodeString(userauthData({ sessionId, publicKey: cardKey.blob, ...fields })),
    encodeUint32(flags),
  ]);
export const hostbound = (key: Uint8Array) => ({
  method: "publickey-hostbound-v00@openssh.com",
  tail: encodeString(key),
});

/** An agent with one hop, and a client on a connection to it; what it answers to a whole conversation. */
export function lend(options: Partial<ConstructorParameters<typeof GuardedAgent>[0]> = {}) {
  const events: SessionEventDraft[] = [];
  const signed: Uint8Array[] = [];
  const agent = new GuardedAgent({
    route: [hop],
    identity: {
      sign: async ({ data }) => {
        signed.push(data);
        return new Uint8Array([7, 7]);
      },
    },
    judgeHostKey: async () => {},
    emit: (event) => events.push(event),
    ...options,
  });
  const connect = () => {
    const [near, far] = duplexPair();
    const isServed = agent.serve(far);
    return { isServed, near };
  };
  const talk = async (...messages: Uint8Array[]) => {
    const { near } = connect();
    near.end(Buffer.concat(messages.map(encodeString)));
    return answersOf(near);
  };
  const reasons = () => events.map((event) => (event.event === "sign" ? event.reason : event.event));
  return { agent, events, signed, connect, talk, reasons };
}

export async function answersOf(stream: Duplex): Promise<Buffer[]> {
  const frames = new AgentFrames();
  const answers: Buffer[] = [];
  for await (const chunk of stream) answers.push(...frames.push(chunk));
  return answers;
}

import { type AgentHello, CodedError, negotiate, PROTOCOL_VERSIONS } from "@farside/protocol";

/** The protocol version to speak with the agent that says `hello`; throws `agent.digest-mismatch`, `protocol.version`. */
export function checkHello(
  hello: AgentHello,
  { digest, host, opening }: { readonly digest: string; readonly host: string; readonly opening?: unknown },
): number {
  // What it was told behind its bundle was said in the newest.
  const { max } = PROTOCOL_VERSIONS;
  const protocol = negotiate(opening === undefined ? PROTOCOL_VERSIONS : { min: max, max }, hello.protocol);
  if (hello.digest === digest) return protocol;
  throw new CodedError(
    "agent.digest-mismatch",
    `the agent on ${host} says that it is another bundle than was sent`,
    {
      leg: "jump",
    },
  );
}

/** `error` of a peer, which does not know whose it is, as one of the agent's. */
export function named(error: CodedError | undefined, host: string): CodedError | undefined {
  if (error === undefined || error.leg !== undefined) return error;
  return new CodedError(error.code, `talking to the agent on ${host}: ${error.message}`, {
    leg: "jump",
    hint: error.hint,
    cause: error,
  });
}

export function goneBeforeHello(host: string): CodedError {
  return new CodedError(
    "agent.start-failed",
    `starting the agent on ${host}: it ended before it said hello`,
    {
      leg: "jump",
    },
  );
}

import { CodedError, type HopIdentity, toCodedError } from "@farside/protocol";
import { type Identity, KeyFileIdentity, SshAgentIdentity } from "@farside/ssh";
import { expandHome } from "./expand-home.ts";

type OwnIdentity = Exclude<HopIdentity, { kind: "attached" }>;

export interface OwnIdentityFacts {
  /** The home of the login, for `~/`. */
  readonly home: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Uses an identity that lives on this host, for one login: a key file, or an ssh-agent as ssh's IdentityAgent names it. Rejects as `use` does, and with
 * `identity.*` where it can't be had: an ssh-agent that is not there, or has no key, is no reason to bother the hop. All are of the leg `hop`.
 */
export async function withOwnIdentity<T>(
  identity: OwnIdentity,
  facts: OwnIdentityFacts,
  use: (identity: Identity) => Promise<T>,
): Promise<T> {
  try {
    await using own = await (identity.kind === "key-file"
      ? KeyFileIdentity.open({ files: [expandHome(identity.path, facts.home)] })
      : openAgent(identity.path, facts));
    return await use(own);
  } catch (error) {
    const { code, message, hint, leg, data, cause } = toCodedError(error);
    throw new CodedError(code, message, { hint, data, cause, leg: leg ?? "hop" });
  }
}

async function openAgent(place: string, { home, environment }: OwnIdentityFacts): Promise<Identity> {
  const variable = place === "SSH_AUTH_SOCK" ? place : /^\$(.*)/.exec(place)?.[1];
  const socketPath = variable === undefined ? expandHome(place, home) : environment[variable];
  if (socketPath === undefined || socketPath === "") {
    throw unavailable(
      `looking for the ssh-agent: ${variable} is not set in the agent's environment`,
      `Set it for the login's services (systemctl --user set-environment) and restart the agent, or give the socket's path.`,
    );
  }
  const agent = await SshAgentIdentity.open({ socketPath });
  try {
    if ((await agent.publicKeys()).length > 0) return agent;
    throw unavailable(`using the ssh-agent at ${socketPath}: it has no key`, "Add it there with ssh-add.");
  } catch (error) {
    await agent.close();
    throw error;
  }
}

function unavailable(message: string, hint: string): CodedError {
  return new CodedError("identity.agent-unavailable", message, { hint });
}

import { homedir } from "node:os";
import { resolve } from "node:path";
import { CodedError, isCodedError } from "@farside/protocol";
import { type CardEvents, openCard, type PinSource } from "@farside/smartcard";
import {
  type HostConfig,
  type Identity,
  KeyFileIdentity,
  type KeyFileOptions,
  SshAgentIdentity,
} from "@farside/ssh";
import { chooseIdentity, type IdentityWish } from "./choose-identity.ts";

export interface OpenIdentityOptions {
  readonly wish: IdentityWish;
  readonly config: HostConfig;
  readonly env: NodeJS.ProcessEnv;
  /** Borrowed. */
  readonly pinSource: PinSource;
  readonly passphrase: KeyFileOptions["passphrase"];
  readonly cardEvents: CardEvents;
  readonly signal: AbortSignal;
}

/** Opens what logs in to a host where no session is started: the card, the ssh-agent or a key file. The caller closes it. */
export async function openIdentity(options: OpenIdentityOptions): Promise<Identity> {
  const { wish, config, env, pinSource, passphrase, cardEvents: events, signal } = options;
  const choice = chooseIdentity(wish, config, env);
  if (choice.kind === "card") {
    const { provider, uri } = choice;
    const { token, key, "pin-pad": pinPad = false } = wish;
    return openCard({ provider, uri, token, key, pinPad, pinSource, events, signal, login: "on-sign" });
  }
  const socketPath = config.identityAgent;
  if (choice.identity === "agent") return SshAgentIdentity.open({ socketPath });
  if (choice.identity !== undefined) {
    return KeyFileIdentity.open({
      files: [resolve(choice.identity.replace(/^~(?=\/)/, homedir()))],
      passphrase,
    });
  }
  const agent = await agentWithKeys(socketPath, signal);
  if (agent !== undefined) return agent;
  const files = await KeyFileIdentity.open({ files: config.identityFiles, lenient: true, passphrase });
  if ((await files.publicKeys({ signal })).length > 0) return files;
  throw new CodedError("identity.none", "there is no card, ssh-agent key or key file to log in with", {
    hint: "Choose with --identity card, agent or FILE.",
  });
}

async function agentWithKeys(
  socketPath: string | undefined,
  signal: AbortSignal,
): Promise<Identity | undefined> {
  if (socketPath === "none") return undefined;
  try {
    const agent = await SshAgentIdentity.open({ socketPath });
    if ((await agent.publicKeys({ signal })).length > 0) return agent;
    await agent.close();
  } catch (error) {
    if (!isCodedError(error) || error.code !== "identity.agent-unavailable") throw error;
  }
  return undefined;
}

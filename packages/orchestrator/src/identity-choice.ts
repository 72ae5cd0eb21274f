import { homedir } from "node:os";
import { join } from "node:path";
import { CodedError, isCodedError } from "@farside/protocol";
import {
  type HostConfig,
  type Identity,
  KeyFileIdentity,
  type KeyFileOptions,
  type PublicKey,
  type SignRequest,
  SshAgentIdentity,
} from "@farside/ssh";

/** `agent` for the ssh-agent, a key file's path, or something that can sign already. */
export type IdentityChoice = Identity | "agent" | (string & {});

export interface IdentityOptions {
  /** Default: the keys of the ssh-agent, then the key files that ssh_config names or that ssh tries. */
  readonly choice?: IdentityChoice | undefined;
  /** The hosts that will be logged in to, the jump host last: their IdentityFile, IdentityAgent and IdentitiesOnly count. */
  readonly configs: readonly HostConfig[];
  readonly passphrase?: KeyFileOptions["passphrase"];
}

export interface OpenedIdentity {
  readonly identity: Identity;
  /** Closes what was opened here; leaves alone what the caller brought. */
  readonly close: () => Promise<void>;
}

/** Opens what the operator chose to log in with. Rejects with `identity.*`. */
export async function openIdentity(options: IdentityOptions): Promise<OpenedIdentity> {
  const { choice } = options;
  if (typeof choice === "object") return { identity: choice, close: async () => {} };
  const identity = await openChoice(choice, options);
  return { identity, close: () => identity.close() };
}

async function openChoice(
  choice: string | undefined,
  { configs, passphrase }: IdentityOptions,
): Promise<Identity> {
  const jump = configs.at(-1);
  const socketPath = jump?.identityAgent;
  if (choice === "agent") return SshAgentIdentity.open(socketPath === undefined ? {} : { socketPath });
  if (choice !== undefined) {
    const path = choice.startsWith("~/") ? join(homedir(), choice.slice(2)) : choice;
    return KeyFileIdentity.open({ files: [path], ...(passphrase && { passphrase }) });
  }
  const paths = [...new Set(configs.flatMap(({ identityFiles }) => identityFiles))];
  const files = await KeyFileIdentity.open({
    files: paths,
    lenient: true,
    ...(passphrase && { passphrase }),
  });
  const agent = await openAgent(socketPath);
  const onlyOfFirst = jump?.identitiesOnly === true;
  const identities = agent === undefined ? [files] : onlyOfFirst ? [files, agent] : [agent, files];
  const all = new FirstOf(identities, onlyOfFirst);
  if ((await all.publicKeys()).length > 0) return all;
  await all.close();
  throw new CodedError("identity.none", "there is no ssh-agent key and no key file to log in with", {
    hint: "Add a key to the ssh-agent, or choose one with --identity.",
  });
}

async function openAgent(socketPath: string | undefined): Promise<Identity | undefined> {
  if (socketPath === "none") return undefined;
  try {
    return await SshAgentIdentity.open(socketPath === undefined ? {} : { socketPath });
  } catch (error) {
    if (isCodedError(error) && error.code === "identity.agent-unavailable") return undefined;
    throw error;
  }
}

/** The keys of several identities, each signed for by the first that has it. */
class FirstOf implements Identity {
  readonly kind = "agent";
  readonly #identities: readonly Identity[];
  readonly #onlyOfFirst: boolean;

  /** `onlyOfFirst`: further identities sign for the first one's keys but offer none of their own (IdentitiesOnly). */
  constructor(identities: readonly Identity[], onlyOfFirst: boolean) {
    this.#identities = identities;
    this.#onlyOfFirst = onlyOfFirst;
  }

  async publicKeys(options?: { signal?: AbortSignal | undefined }): Promise<readonly PublicKey[]> {
    const offering = this.#onlyOfFirst ? this.#identities.slice(0, 1) : this.#identities;
    const keys = await Promise.all(offering.map((identity) => identity.publicKeys(options)));
    const byBlob = new Map(keys.flat().map((key) => [Buffer.from(key.blob).toString("base64"), key]));
    return [...byBlob.values()];
  }

  async ready(options: Parameters<Identity["ready"]>[0]): Promise<void> {
    await Promise.all(this.#identities.map((identity) => identity.ready(options)));
  }

  async sign(request: SignRequest): Promise<Uint8Array> {
    const wanted = Buffer.from(request.publicKey.blob);
    // The ssh-agent first, as ssh does: it has the key open already.
    for (const identity of [...this.#identities].sort((a) => (a.kind === "agent" ? -1 : 1))) {
      const keys = await identity.publicKeys({ signal: request.signal });
      if (keys.some(({ blob }) => wanted.equals(blob))) return identity.sign(request);
    }
    throw new CodedError("identity.none", "signing: the key is no longer there");
  }

  async close(): Promise<void> {
    await Promise.all(this.#identities.map((identity) => identity.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

import { homedir } from "node:os";
import { resolve } from "node:path";
import { CodedError, isCodedError } from "@farside/protocol";
import { type CardEvents, openCard, type PinSource } from "@farside/smartcard";
import { type Identity, KeyFileIdentity, type KeyFileOptions, SshAgentIdentity } from "@farside/ssh";
import type { IdentityChoice, IdentityWish } from "./choose-identity.ts";
import { JoinedIdentity } from "./joined-identity.ts";

export interface OpenIdentityOptions {
  readonly wish: IdentityWish;
  /** Borrowed; asked for the card's PIN only. */
  readonly pinSource: PinSource;
  readonly passphrase: KeyFileOptions["passphrase"];
  readonly cardEvents: CardEvents;
  /** Takes one line for each thing that could not be used. */
  readonly onWarning: (text: string) => void;
  readonly signal: AbortSignal;
}

/** Opens what was chosen; the caller closes it. Rejects with `card.*` and `identity.*`. */
export async function openIdentity(choice: IdentityChoice, options: OpenIdentityOptions): Promise<Identity> {
  const { wish, passphrase, signal } = options;
  switch (choice.kind) {
    case "card":
      return openCard({
        provider: choice.provider,
        uri: choice.uri,
        token: wish.token,
        key: wish.key,
        pinSource: options.pinSource,
        pinPad: wish["pin-pad"] ?? false,
        events: options.cardEvents,
        signal,
      });
    case "agent":
      return SshAgentIdentity.open({ socketPath: choice.socketPath });
    case "file":
      return KeyFileIdentity.open({ files: [expanded(choice.path)], passphrase });
    case "usual":
      return openUsual(choice, options);
  }
}

async function openUsual(
  choice: Extract<IdentityChoice, { kind: "usual" }>,
  { passphrase, onWarning, signal }: OpenIdentityOptions,
): Promise<Identity> {
  const agent = await agentWithKeys(choice.socketPath, signal);
  if (agent !== undefined && !choice.isExplicit && !choice.onlyFiles) return agent;
  const files = await KeyFileIdentity.open({ files: choice.files, lenient: true, passphrase, onWarning });
  const fileKeys = await files.publicKeys({ signal });
  if (agent === undefined) {
    if (fileKeys.length > 0) return files;
    await files.close();
    throw nothingToLogInWith();
  }
  if (!choice.onlyFiles) return new FilesFirst(agent, files);
  const blobs = fileKeys.map(({ blob }) => blob);
  const restricted = await SshAgentIdentity.open({ socketPath: choice.socketPath, only: blobs });
  await agent.close();
  return new JoinedIdentity("file", [restricted, files]);
}

/** The agent signs where it can, as it asks for no passphrase; the keys of the files are offered first, as ssh does. */
class FilesFirst extends JoinedIdentity {
  readonly #files: Identity;

  constructor(agent: Identity, files: Identity) {
    super("agent", [agent, files]);
    this.#files = files;
  }

  override async publicKeys(options?: { signal?: AbortSignal | undefined }) {
    const first = await this.#files.publicKeys(options);
    const all = await super.publicKeys(options);
    const isFirst = (blob: Uint8Array) => first.some((key) => Buffer.from(key.blob).equals(blob));
    return [...first, ...all.filter(({ blob }) => !isFirst(blob))];
  }
}

async function agentWithKeys(
  socketPath: string | undefined,
  signal: AbortSignal,
): Promise<SshAgentIdentity | undefined> {
  if (socketPath === undefined) return undefined;
  try {
    const agent = await SshAgentIdentity.open({ socketPath });
    if ((await agent.publicKeys({ signal })).length > 0) return agent;
    await agent.close();
  } catch (error) {
    // A socket that its agent left behind is no reason not to try the key files.
    if (!isCodedError(error) || error.code !== "identity.agent-unavailable") throw error;
  }
  return undefined;
}

function nothingToLogInWith(): CodedError {
  return new CodedError("identity.none", "there is no card, ssh-agent key or key file to log in with", {
    hint: "Name the card's module with --pkcs11-provider, or choose with --identity card, agent or FILE.",
  });
}

function expanded(path: string): string {
  return resolve(path.replace(/^~(?=\/)/, homedir()));
}

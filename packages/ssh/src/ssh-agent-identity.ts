import { CodedError } from "@farside/protocol";
import { signatureAlgorithmsOf } from "./algorithms.ts";
import { fingerprint } from "./fingerprint.ts";
import type { Identity, PublicKey, SignRequest } from "./identity.ts";
import { keyTypeOf } from "./public-key-type.ts";
import { SshAgentClient } from "./ssh-agent-client.ts";
import { WireReader } from "./wire.ts";

export interface SshAgentOptions {
  /** Path of the agent's socket; default SSH_AUTH_SOCK. */
  readonly socketPath?: string | undefined;
  /** Offer only these of the agent's keys (IdentitiesOnly); default all. */
  readonly only?: readonly Uint8Array[] | undefined;
}

/** The keys of an ssh-agent on this machine. Each call has a connection of its own, bound to the host that it is for. */
export class SshAgentIdentity implements Identity {
  readonly kind = "agent";
  readonly #socketPath: string;
  readonly #only: ReadonlySet<string> | undefined;
  readonly #closed = new AbortController();

  /** Rejects with `identity.agent-unavailable` where no agent answers. */
  static async open(options: SshAgentOptions = {}): Promise<SshAgentIdentity> {
    const socketPath = options.socketPath ?? process.env["SSH_AUTH_SOCK"];
    if (socketPath === undefined || socketPath === "")
      throw new CodedError(
        "identity.agent-unavailable",
        "looking for the ssh-agent: SSH_AUTH_SOCK is not set",
        {
          hint: 'Start one with eval "$(ssh-agent)" and add the key with ssh-add.',
        },
      );
    const client = await SshAgentClient.open(socketPath, undefined);
    client.close();
    return new SshAgentIdentity(socketPath, options.only);
  }

  private constructor(socketPath: string, only: readonly Uint8Array[] | undefined) {
    this.#socketPath = socketPath;
    this.#only = only && new Set(only.map(fingerprint));
  }

  async ready(): Promise<void> {
    // Whom it asks is not known before it is asked.
  }

  async publicKeys({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<readonly PublicKey[]> {
    return this.#with(signal, (client) => client.keys(signal, (blob) => this.#isWanted(blob)));
  }

  async sign({ publicKey, algorithm, data, proof, signal }: SignRequest): Promise<Uint8Array> {
    return this.#with(signal, async (client) => {
      await client.bindSession(proof, new WireReader(data).string(), signal);
      return client.sign(publicKey.blob, algorithm, data, signal);
    });
  }

  async close(): Promise<void> {
    this.#closed.abort(
      new CodedError("identity.agent-unavailable", "using the ssh-agent: it was closed here"),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #isWanted(blob: Uint8Array): boolean {
    const isSupported = signatureAlgorithmsOf(keyTypeOf(blob)).length > 0;
    return isSupported && (this.#only === undefined || this.#only.has(fingerprint(blob)));
  }

  async #with<T>(signal: AbortSignal | undefined, use: (client: SshAgentClient) => Promise<T>): Promise<T> {
    this.#closed.signal.throwIfAborted();
    const client = await SshAgentClient.open(this.#socketPath, signal);
    const close = () => client.close();
    this.#closed.signal.addEventListener("abort", close, { once: true });
    try {
      return await use(client);
    } finally {
      this.#closed.signal.removeEventListener("abort", close);
      client.close();
    }
  }
}

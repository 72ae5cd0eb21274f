import { CodedError, isCodedError } from "@farside/protocol";
import type { Identity, PublicKey, SignRequest } from "./identity.ts";
import { type KeyFile, type PrivateKey, readKeyFile } from "./key-file.ts";
import { signatureValue } from "./ssh-signature.ts";

/** A typo is not the end, as in ssh(1). */
const maxPassphraseTries = 3;

export interface KeyFileOptions {
  /** Private keys in OpenSSH or PEM format, offered in this order. */
  readonly files: readonly string[];
  /** Leave out what can't be used (for files that ssh_config or a default names); else it is an error. */
  readonly lenient?: boolean | undefined;
  /** Called for each file that exists and is left out, with one line. */
  readonly onWarning?: ((text: string) => void) | undefined;
  /** Asked only when an encrypted key has to sign; `triesLeft` counts down from 3. Without it, an encrypted key can't be used. */
  readonly passphrase?:
    | ((file: string, options: { triesLeft: number; signal: AbortSignal | undefined }) => Promise<string>)
    | undefined;
}

interface Entry {
  readonly file: KeyFile;
  privateKey: PrivateKey | undefined;
}

/** Private keys in files. The opened keys stay in memory until `close`. */
export class KeyFileIdentity implements Identity {
  readonly kind = "file";
  readonly #entries: Entry[];
  readonly #passphrase: KeyFileOptions["passphrase"];
  #isClosed = false;

  /** Reads the files. Rejects with `identity.key-unreadable`. */
  static async open(options: KeyFileOptions): Promise<KeyFileIdentity> {
    const files: KeyFile[] = [];
    for (const path of options.files) {
      try {
        files.push(await readKeyFile(path));
      } catch (error) {
        if (options.lenient !== true || !isCodedError(error)) throw error;
        if (error.data?.["isMissing"] !== true) options.onWarning?.(error.message);
      }
    }
    return new KeyFileIdentity(files, options.passphrase);
  }

  private constructor(files: readonly KeyFile[], passphrase: KeyFileOptions["passphrase"]) {
    this.#entries = files.map((file) => ({ file, privateKey: undefined }));
    this.#passphrase = passphrase;
  }

  async ready(): Promise<void> {
    // Its passphrase is asked for with the first signature, which is before any hop is dialled again.
  }

  async publicKeys({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<readonly PublicKey[]> {
    this.#throwIfClosed();
    const keys: PublicKey[] = [];
    for (const entry of this.#entries)
      keys.push(entry.file.publicKey ?? (await this.#opened(entry, signal)).publicKey);
    return keys;
  }

  async sign({ publicKey, algorithm, data, signal }: SignRequest): Promise<Uint8Array> {
    this.#throwIfClosed();
    signal?.throwIfAborted();
    const wanted = Buffer.from(publicKey.blob);
    for (const entry of this.#entries) {
      const own = entry.file.publicKey ?? entry.privateKey?.publicKey;
      if (own === undefined || !wanted.equals(own.blob)) continue;
      const opened = await this.#opened(entry, signal);
      // The public key may have come from a .pub file that lies beside another key.
      if (!wanted.equals(opened.publicKey.blob))
        throw new CodedError(
          "identity.key-unreadable",
          `${entry.file.path}.pub is not the public key of ${entry.file.path}`,
          {
            hint: `Write it anew: ssh-keygen -y -f ${entry.file.path} > ${entry.file.path}.pub`,
          },
        );
      return signatureValue(opened.key, algorithm, data);
    }
    throw new CodedError("identity.none", "signing: there is no key file for the wanted key");
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const entry of this.#entries) entry.privateKey = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #opened(entry: Entry, signal: AbortSignal | undefined): Promise<PrivateKey> {
    if (entry.privateKey !== undefined) return entry.privateKey;
    const { file } = entry;
    if (!file.isEncrypted) {
      entry.privateKey = file.open();
      return entry.privateKey;
    }
    if (this.#passphrase === undefined)
      throw new CodedError(
        "identity.key-unreadable",
        `opening ${file.path}: it is encrypted and nobody can be asked for its passphrase`,
        {
          hint: "Add it to an ssh-agent, or run farside on a terminal.",
        },
      );
    for (let triesLeft = maxPassphraseTries; ; triesLeft -= 1) {
      const passphrase = await this.#passphrase(file.path, { triesLeft, signal });
      signal?.throwIfAborted();
      this.#throwIfClosed();
      try {
        entry.privateKey = file.open(passphrase);
        return entry.privateKey;
      } catch (error) {
        if (!isCodedError(error) || error.code !== "identity.passphrase-wrong" || triesLeft === 1)
          throw error;
      }
    }
  }

  #throwIfClosed(): void {
    if (this.#isClosed) throw new CodedError("identity.none", "the key files were closed");
  }
}

import { type Signer, SignerProcess, type SignerProcessOptions } from "./signer-process.ts";

/**
 * A signer process that is started before it is known what for, so that it is there when a card's module is to be loaded: a Node.js takes as
 * long to start as a host to be reached. Its `start` is for one card's `startSigner`; who made it closes it, which ends it where nobody took it.
 */
export class SpareSigner implements AsyncDisposable {
  readonly #start: (options: SignerProcessOptions) => Promise<Signer>;
  #spare: Promise<Signer> | undefined;

  constructor(
    options: SignerProcessOptions,
    start: (options: SignerProcessOptions) => Promise<Signer> = SignerProcess.start,
  ) {
    this.#start = start;
    this.#spare = start(options);
    // Whoever takes it hears of a failure.
    this.#spare.catch(() => undefined);
  }

  /** The spare one, the first time and where it is alive; else another. Whoever called it closes what it resolves to. */
  readonly start = async (options: SignerProcessOptions): Promise<Signer> => {
    const spare = this.#spare;
    this.#spare = undefined;
    const signer = await spare;
    return signer?.isAlive === true ? signer : this.#start(options);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    const spare = this.#spare;
    this.#spare = undefined;
    await (await spare?.catch(() => undefined))?.close();
  }
}

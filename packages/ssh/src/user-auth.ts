import { CodedError, harmless } from "@farside/protocol";
import { signatureAlgorithmsOf } from "./algorithms.ts";
import { fingerprint } from "./fingerprint.ts";
import { harmlessLines } from "./harmless-lines.ts";
import type { HopOptions } from "./hop-options.ts";
import type { PublicKey } from "./identity.ts";
import type { KeyExchangeProof } from "./kex-proof.ts";
import type { Ssh2Protocol } from "./ssh2-internals.ts";

/** sshd's default is 6 tries; more keys than this would be a mistake on our side. */
const maxKeys = 20;
const maxPromptRounds = 10;
const maxPrompts = 16;

type Reply =
  | { readonly type: "failure"; readonly methods: readonly string[]; readonly isPartial: boolean }
  | { readonly type: "key-ok" }
  | {
      readonly type: "prompts";
      readonly name: string;
      readonly instructions: string;
      readonly prompts: readonly { prompt: string; echo: boolean }[];
    };

/** Whom the login waits for: it sets which deadline applies. */
export type WaitsFor = "host" | "identity" | "operator";

export interface UserAuthOptions
  extends Pick<
    HopOptions,
    "user" | "leg" | "identity" | "requireSignature" | "keyboardInteractive" | "algorithms"
  > {
  readonly protocol: Ssh2Protocol;
  readonly where: string;
  readonly proof: KeyExchangeProof;
  readonly signal: AbortSignal;
  readonly onWait: (waitsFor: WaitsFor) => void;
  readonly onFailure: (error: unknown) => void;
}

/**
 * The login (RFC 4252, 7; RFC 4256), over ssh2's messages: each key of the identity is asked about before it signs, and
 * signs with SHA-2 only. A failed signature ends the login; keyboard-interactive follows a key that was taken in part.
 * ssh2 emits `ready` when the host says yes, unless `requireSignature` forbids it.
 */
export class UserAuth {
  readonly #options: UserAuthOptions;
  readonly #offered: string[] = [];
  #serverAlgorithms: readonly string[] | undefined;
  #methods: readonly string[] = [];
  #take: ((reply: Reply) => void) | undefined;
  #hasSigned = false;

  /** Takes over the client's authentication messages; call it right after `client.connect`. */
  constructor(options: UserAuthOptions) {
    this.#options = options;
    const handlers = options.protocol._handlers;
    const letIn = handlers.USERAUTH_SUCCESS;
    handlers.EXT_INFO = (_protocol, extensions) => {
      this.#serverAlgorithms ??= extensions.find(({ name }) => name === "server-sig-algs")?.algs;
    };
    handlers.USERAUTH_SUCCESS = (protocol) => {
      // Whatever is answered from now on is not about the login.
      this.#take = undefined;
      if (options.requireSignature === true && !this.#hasSigned) options.onFailure(this.#noSignature());
      else letIn(protocol);
    };
    handlers.USERAUTH_FAILURE = (_protocol, methods = [], isPartial) =>
      this.#take?.({ type: "failure", methods, isPartial });
    handlers.USERAUTH_PK_OK = () => this.#take?.({ type: "key-ok" });
    handlers.USERAUTH_INFO_REQUEST = (_protocol, name, instructions, prompts) =>
      this.#take?.({ type: "prompts", name, instructions, prompts });
  }

  /** Runs the login until the host refuses it. Never resolves when the host lets us in: ssh2 tells. Rejects with what ended it. */
  async run(): Promise<never> {
    const { identity, signal, where, leg } = this.#options;
    this.#options.onWait("identity");
    const keys = await identity.publicKeys({ signal });
    if (keys.length === 0)
      throw new CodedError("identity.none", `logging in to ${where}: there is no key to offer`, { leg });
    for (const key of keys.slice(0, maxKeys)) {
      const outcome = await this.#try(key);
      this.#methods = outcome.methods;
      if (!outcome.isPartial) continue;
      if (outcome.methods.includes("keyboard-interactive")) await this.#answerPrompts();
      if (!outcome.methods.includes("publickey")) break;
    }
    throw this.#refused();
  }

  /** The error for a host that hung up on us instead of refusing the last key (MaxAuthTries). */
  refusedBy(reason: string): CodedError {
    return this.#refused(harmless(reason));
  }

  async #try(key: PublicKey): Promise<Extract<Reply, { type: "failure" }>> {
    const algorithms = this.#algorithmsFor(key);
    const label = `${key.type} ${fingerprint(key.blob)}`;
    this.#offered.push(
      algorithms.length === 0 ? `${label} (not offered: no signature algorithm in common)` : label,
    );
    let last: Extract<Reply, { type: "failure" }> = {
      type: "failure",
      methods: this.#methods,
      isPartial: false,
    };
    for (const algorithm of algorithms) {
      const answer = await this.#ask(() => {
        this.#options.protocol.authPK(this.#options.user, Buffer.from(key.blob), algorithm);
      });
      if (answer.type === "key-ok") return this.#sign(key, algorithm);
      last = asFailure(answer);
    }
    return last;
  }

  #algorithmsFor(key: PublicKey): readonly string[] {
    const allowed = this.#options.algorithms?.signatures;
    const ours = signatureAlgorithmsOf(key.type).filter((name) => allowed?.includes(name) ?? true);
    const theirs = this.#serverAlgorithms;
    // Only for RSA is the key's type not the answer; hosts without EXT_INFO are asked, they refuse what they don't know.
    return key.type === "ssh-rsa" && theirs !== undefined
      ? ours.filter((name) => theirs.includes(name))
      : ours;
  }

  async #sign(publicKey: PublicKey, algorithm: string): Promise<Extract<Reply, { type: "failure" }>> {
    const { protocol, user, identity, proof, signal } = this.#options;
    let data: Buffer = Buffer.alloc(0);
    let send = (_signature: Buffer): void => {};
    protocol.authPK(user, Buffer.from(publicKey.blob), algorithm, (toSign, sendSigned) => {
      data = toSign;
      send = sendSigned;
    });
    this.#options.onWait("identity");
    const signature = await identity.sign({ publicKey, algorithm, data, proof, signal });
    signal.throwIfAborted();
    return asFailure(
      await this.#ask(() => {
        this.#hasSigned = true;
        send(Buffer.from(signature));
      }),
    );
  }

  /** The second factor. Returns when the host refuses the answers. */
  async #answerPrompts(): Promise<void> {
    const { protocol, user, where, keyboardInteractive, signal } = this.#options;
    if (keyboardInteractive === undefined) return;
    let reply = await this.#ask(() => protocol.authKeyboard(user));
    for (let round = 0; reply.type === "prompts" && round < maxPromptRounds; round += 1) {
      const { name, instructions, prompts } = reply;
      if (prompts.length > maxPrompts) return;
      const shown = {
        from: where,
        name: harmless(name, 200),
        instructions: harmlessLines(instructions, 2000),
        prompts: prompts.map(({ prompt, echo }) => ({ text: harmlessLines(prompt, 500).trim(), echo })),
      };
      this.#options.onWait("operator");
      const answers = prompts.length === 0 ? [] : await keyboardInteractive(shown, { signal });
      reply = await this.#ask(() => protocol.authInfoRes(prompts.map((_, index) => answers[index] ?? "")));
    }
    if (reply.type === "failure") this.#methods = reply.methods;
  }

  #ask(send: () => void): Promise<Reply> {
    this.#options.onWait("host");
    return new Promise((resolve) => {
      this.#take = (reply) => {
        this.#take = undefined;
        resolve(reply);
      };
      send();
    });
  }

  #noSignature(): CodedError {
    const { where, leg } = this.#options;
    return new CodedError("hop.no-signature", `logging in to ${where}: it let us in without a signature`, {
      hint: "A host that lets anybody in may be anybody; no byte was sent to it.",
      leg,
    });
  }

  #refused(reason = ""): CodedError {
    const { where, leg } = this.#options;
    const methods = harmless(this.#methods.join(", "));
    const offered = this.#offered.join(", ") || "none";
    return new CodedError(
      "hop.auth-refused",
      `logging in to ${where}: refused${reason === "" ? "" : ` (${reason})`}; keys offered: ${offered}` +
        (methods === "" ? "" : `; the host accepts: ${methods}`),
      {
        hint: "Is the user right, and is the key in that user's authorized_keys on the host?",
        leg,
        data: { offered: this.#offered.length },
      },
    );
  }
}

/** Anything but a yes: a host that answers a signature with a question is as good as one that refuses it. */
function asFailure(reply: Reply): Extract<Reply, { type: "failure" }> {
  return reply.type === "failure" ? reply : { type: "failure", methods: [], isPartial: false };
}

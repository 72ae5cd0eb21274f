export interface AbortOptions {
  readonly signal?: AbortSignal | undefined;
}

/** A question whose answer is a secret: it is never shown, not even its length. */
export interface SecretQuestion extends AbortOptions {
  /** Lines to read before the question. */
  readonly before?: readonly string[];
  readonly message: string;
}

/** A question that only an explicit `yes` answers with yes. */
export interface YesQuestion extends AbortOptions {
  readonly before?: readonly string[];
  readonly message: string;
}

/** A question whose answer may be seen. */
export interface TextQuestion extends AbortOptions {
  readonly before?: readonly string[];
  readonly message: string;
}

/**
 * Somebody to ask: a terminal or an SSH_ASKPASS program. Questions are asked one after the other. Rejects with
 * `canceled` where the operator gave up (Ctrl-C, or the askpass window was closed).
 */
export interface Prompter {
  askSecret(question: SecretQuestion): Promise<string>;
  askText(question: TextQuestion): Promise<string>;
  askYes(question: YesQuestion): Promise<boolean>;
}

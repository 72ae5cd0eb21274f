import { createInterface } from "node:readline";
import type { ReadStream } from "node:tty";
import { anySignal, CodedError, harmless, isCodedError } from "@farside/protocol";
import password from "@inquirer/password";
import type { Prompter, SecretQuestion, TextQuestion, YesQuestion } from "./prompter.ts";
import { openTerminal, type Terminal } from "./terminal.ts";

export interface TerminalPrompterOptions {
  /** Leaves the terminal to the question; the returned function takes it back. */
  readonly pause: () => () => void;
  /** Ctrl-C at a question: the terminal is in raw mode then and sends no signal. */
  readonly onInterrupt: () => void;
}

/** Asks at the terminal: secrets hidden, `yes` typed out. */
export class TerminalPrompter implements Prompter {
  readonly #options: TerminalPrompterOptions;

  constructor(options: TerminalPrompterOptions) {
    this.#options = options;
  }

  askSecret(question: SecretQuestion): Promise<string> {
    return this.#ask(question, async ({ input, output }, signal) => {
      using refused = whenRefused(input);
      using asking = anySignal([signal, refused.signal]);
      return await password(
        { message: harmless(question.message) },
        { input, output, signal: asking.signal },
      );
    });
  }

  askText(question: TextQuestion): Promise<string> {
    return this.#ask(question, (terminal, signal) =>
      askLine(terminal, `${harmless(question.message)} `, signal),
    );
  }

  async askYes(question: YesQuestion): Promise<boolean> {
    const answer = await this.askText({ ...question, message: `${question.message} (yes/no)` });
    return /^yes$/i.test(answer.trim());
  }

  async #ask(
    question: TextQuestion,
    ask: (terminal: Terminal, signal: AbortSignal) => Promise<string>,
  ): Promise<string> {
    question.signal?.throwIfAborted();
    const resume = this.#options.pause();
    try {
      for (;;) {
        using terminal = openTerminal();
        if (terminal === undefined) throw gaveUp();
        for (const line of question.before ?? []) terminal.output.write(`${harmless(line)}\n`);
        using continued = whenContinued();
        using asking = anySignal([question.signal, continued.signal]);
        try {
          return await ask(terminal, asking.signal);
        } catch (error) {
          question.signal?.throwIfAborted();
          if (!continued.signal.aborted) throw error;
        }
      }
    } catch (error) {
      question.signal?.throwIfAborted();
      if (!isRefusal(error)) throw error;
      this.#options.onInterrupt();
      throw gaveUp(error);
    } finally {
      resume();
    }
  }
}

/**
 * Aborts when the process was stopped (Ctrl-Z) and goes on: Node's readline leaves a question paused then, with the terminal in raw
 * mode, so that nothing that is typed arrives, Ctrl-C included. What was asked is asked anew, as ssh does.
 */
function whenContinued(): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  // Behind readline's own listener, which changes the terminal.
  const onContinue = () => setImmediate(() => controller.abort());
  process.on("SIGCONT", onContinue);
  return { signal: controller.signal, [Symbol.dispose]: () => process.off("SIGCONT", onContinue) };
}

/** Aborts at Ctrl-D: Inquirer's readline closes at it, and its question would never end. */
function whenRefused(input: ReadStream): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const onKey = (_: unknown, key: { readonly ctrl?: boolean; readonly name?: string } | undefined) => {
    if (key?.ctrl === true && key.name === "d") controller.abort();
  };
  input.on("keypress", onKey);
  return { signal: controller.signal, [Symbol.dispose]: () => input.off("keypress", onKey) };
}

/** Ctrl-C or Ctrl-D, or the terminal is gone. Inquirer has a class for each. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    isCodedError(error) || ["ExitPromptError", "AbortPromptError", "CancelPromptError"].includes(error.name)
  );
}

function gaveUp(cause?: unknown): CodedError {
  return new CodedError("canceled", "the question was not answered", { cause });
}

async function askLine({ input, output }: Terminal, message: string, signal: AbortSignal): Promise<string> {
  const reader = createInterface({ input, output, terminal: true, historySize: 0 });
  try {
    return await new Promise<string>((resolve, reject) => {
      const give = () => reject(gaveUp());
      reader.once("SIGINT", give);
      reader.once("close", give);
      signal.addEventListener("abort", give, { once: true });
      reader.question(message, resolve);
    });
  } finally {
    reader.close();
  }
}

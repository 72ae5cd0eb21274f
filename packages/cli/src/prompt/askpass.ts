import { spawn } from "node:child_process";
import { CodedError, harmless } from "@farside/protocol";
import type { Prompter, SecretQuestion, TextQuestion, YesQuestion } from "./prompter.ts";

const MAX_ANSWER_BYTES = 4096;

/** Asks by running the program of SSH_ASKPASS, as ssh does: the question is its argument, the answer its first line. */
export class AskpassPrompter implements Prompter {
  readonly #program: string;

  constructor(program: string) {
    this.#program = program;
  }

  askSecret(question: SecretQuestion): Promise<string> {
    return this.#ask(question);
  }

  askText(question: TextQuestion): Promise<string> {
    return this.#ask(question);
  }

  async askYes(question: YesQuestion): Promise<boolean> {
    // SSH_ASKPASS_PROMPT=confirm turns the window into OK and Cancel; a program that does not know it asks for a text.
    const answer = await this.#ask(
      { ...question, message: `${question.message} (yes/no)` },
      { SSH_ASKPASS_PROMPT: "confirm" },
    ).catch((error: unknown) => {
      if (question.signal?.aborted === true) throw error;
      return undefined;
    });
    return answer !== undefined && (answer === "" || /^yes$/i.test(answer.trim()));
  }

  #ask(question: TextQuestion, env: Record<string, string> = {}): Promise<string> {
    const text = [...(question.before ?? []), question.message].map((line) => harmless(line)).join("\n");
    return runAskpass(this.#program, text, env, question.signal);
  }
}

async function runAskpass(
  program: string,
  text: string,
  env: Record<string, string>,
  signal: AbortSignal | undefined,
): Promise<string> {
  signal?.throwIfAborted();
  // A process group of its own: Ctrl-C in the terminal is for farside, which then ends this.
  const child = spawn(program, [text], {
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, ...env },
  });
  const end = () => child.kill("SIGTERM");
  signal?.addEventListener("abort", end, { once: true });
  try {
    return await new Promise<string>((resolve, reject) => {
      const chunks: Buffer[] = [];
      let size = 0;
      child.once("error", (error) => {
        reject(
          new CodedError(
            "card.pin-unavailable",
            `cannot run SSH_ASKPASS program ${program}: ${error.message}`,
            {
              hint: "Set SSH_ASKPASS to a program that shows a question and prints the answer.",
            },
          ),
        );
      });
      child.stdout.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size <= MAX_ANSWER_BYTES) chunks.push(chunk);
      });
      child.once("close", (code) => {
        if (signal?.aborted === true) return reject(signal.reason);
        if (code !== 0) return reject(new CodedError("canceled", "the question was not answered"));
        if (size > MAX_ANSWER_BYTES) {
          return reject(new CodedError("card.pin-unavailable", `the answer of ${program} is too long`));
        }
        resolve(Buffer.concat(chunks).toString("utf8").split(/\r?\n/, 1)[0] ?? "");
      });
    });
  } finally {
    signal?.removeEventListener("abort", end);
  }
}

import { anySignal } from "@farside/protocol";
import { TerminalPrompter, type TerminalPrompterOptions } from "./ask-terminal.ts";
import { AskpassPrompter } from "./askpass.ts";
import type { Prompter, TextQuestion } from "./prompter.ts";
import { hasTerminal } from "./terminal.ts";

export interface ChoosePrompterOptions extends TerminalPrompterOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Ends every question that is open, and every later one at once. */
  readonly signal: AbortSignal;
  /** `--pin-source tty` or `askpass` leave no choice. */
  readonly only?: "tty" | "askpass" | undefined;
  /** For tests. */
  readonly hasTerminal?: () => boolean;
}

/**
 * Who is asked, as ssh(1) decides it: the terminal, else the program of SSH_ASKPASS; SSH_ASKPASS_REQUIRE `never`,
 * `prefer` and `force` change that. `undefined` where nobody can be asked.
 */
export function choosePrompter(options: ChoosePrompterOptions): Prompter | undefined {
  const kind = promptKind(options);
  if (kind === "none") return undefined;
  const prompter =
    kind === "tty" ? new TerminalPrompter(options) : new AskpassPrompter(options.env["SSH_ASKPASS"] ?? "");
  return oneAtATime(prompter, options.signal);
}

/** The decision alone. */
export function promptKind(
  options: Pick<ChoosePrompterOptions, "env" | "only" | "hasTerminal">,
): "tty" | "askpass" | "none" {
  const { env, only } = options;
  const atTerminal = () => (options.hasTerminal ?? hasTerminal)();
  const program = env["SSH_ASKPASS"] ?? "";
  const hasProgram = program !== "";
  if (only === "tty") return atTerminal() ? "tty" : "none";
  if (only === "askpass") return hasProgram ? "askpass" : "none";
  const require = (env["SSH_ASKPASS_REQUIRE"] ?? "").toLowerCase();
  if (require === "never") return atTerminal() ? "tty" : "none";
  const hasDisplay = Boolean(env["DISPLAY"] || env["WAYLAND_DISPLAY"]);
  if (hasProgram && (require === "force" || (require === "prefer" && hasDisplay))) return "askpass";
  if (atTerminal()) return "tty";
  return hasProgram ? "askpass" : "none";
}

/** Two questions at a time would share one terminal. */
function oneAtATime(prompter: Prompter, signal: AbortSignal): Prompter {
  let last: Promise<unknown> = Promise.resolve();
  const queued = <Question extends TextQuestion, Answer>(ask: (question: Question) => Promise<Answer>) => {
    return (question: Question): Promise<Answer> => {
      const answer = last.then(async () => {
        using linked = anySignal([question.signal, signal]);
        linked.signal.throwIfAborted();
        return await ask({ ...question, signal: linked.signal });
      });
      last = answer.catch(() => undefined);
      return answer;
    };
  };
  return {
    askSecret: queued((question) => prompter.askSecret(question)),
    askText: queued((question) => prompter.askText(question)),
    askYes: queued((question) => prompter.askYes(question)),
  };
}

import { type Check, DEFAULTS, type DiagnoseOptions, diagnose } from "@farside/orchestrator";
import { CodedError, type ErrorCode, type SessionEvent, toCodedError } from "@farside/protocol";
import type { PinSource } from "@farside/smartcard";
import type { CommandContext } from "../command-context.ts";
import type { DoctorArguments } from "../commands/doctor.ts";
import { exitCodeOf } from "../exit-code.ts";
import { sessionOptionsOf } from "../forward/forward-options.ts";
import { runtimeFileOf } from "../forward/runtime-file.ts";
import { decideIdentity } from "../identity/identity-decision.ts";
import { sessionIdentity } from "../identity/session-identity.ts";
import { describeCheck } from "../output/describe-check.ts";
import { jsonLine } from "../output/json-line.ts";
import { LineSink } from "../output/line-sink.ts";
import { peopleReporter } from "../output/open-reporter.ts";
import { hasColor } from "../output/write-error.ts";
import { choosePrompter } from "../prompt/choose-prompter.ts";
import { pinSource, withoutQuestions } from "../prompt/pin-source.ts";
import { askKeyboardInteractive, askPassphrase } from "../prompt/questions.ts";
import { checkCard } from "./check-card.ts";

/** `farside doctor`: a line for each check on stdout. 0 where all is well, else the code of the first failure. */
export async function runDoctor(argv: DoctorArguments, context: CommandContext): Promise<number> {
  const { interrupts, env, stdout } = context;
  const { signal } = interrupts;
  const people = peopleReporter(argv, context);
  const answer = new LineSink(stdout);
  const isColored = hasColor(stdout, env);
  const origin = argv["pin-source"];
  const prompter = choosePrompter({
    ...{ env, signal, pause: () => people.pause(), onInterrupt: () => interrupts.take("SIGINT") },
    only: origin?.kind === "tty" || origin?.kind === "askpass" ? origin.kind : undefined,
  });
  // Takes `env:NAME` out of the environment: before the first child, which reads ssh_config.
  const pins = pinSource({ origin, prompter, env });
  let failure: CodedError | undefined;
  const tell = (check: Check) => {
    if (check.outcome === "failed") failure ??= failureOf(check);
    if (argv.json === true) answer.write(jsonLine(check));
    else for (const line of describeCheck(check, isColored)) answer.write(line);
  };
  try {
    const options: DiagnoseOptions = {
      // Only looked at: with which sessions it can be had is no matter here.
      ...{ ...sessionOptionsOf({ ...argv, "metrics-port": undefined }), metricsPort: argv["metrics-port"] },
      ...{ onCheck: tell, signal },
    };
    people.step(`looking at ${argv.jump}`);
    const { choice, isBatch } = await decideIdentity(argv, options, context);
    if (choice.kind === "card") {
      const { provider, uri } = choice;
      try {
        tell(await checkCard({ provider, uri, token: argv.token, key: argv.key, signal }));
      } catch (error) {
        signal.throwIfAborted();
        const { code, message, hint, leg } = toCodedError(error);
        tell({ check: "identity", outcome: "failed", text: message, code, hint, leg });
        tell({ check: "login", outcome: "skipped", text: `${argv.jump}: the card can't log in` });
      }
    }
    const named =
      choice.kind === "card" && choice.pinOrigin !== origin
        ? pinSource({ origin: choice.pinOrigin, prompter, env })
        : pins;
    if (failure === undefined) {
      await diagnose({
        ...options,
        identity: sessionIdentity(choice, argv, sparing(isBatch ? withoutQuestions(named) : named)),
        ...(prompter && {
          passphrase: (file, rest) => askPassphrase(prompter, file, rest),
          keyboardInteractive: (prompts, rest) => askKeyboardInteractive(prompter, prompts, rest),
        }),
        runtimeFile: runtimeFileOf(options, env),
        logLevel: argv["log-level"] ?? DEFAULTS.logLevel,
        onAgentLog: (line) => people.log("debug", `agent: ${line}`),
        onEvent: (event) => say(event, people),
      });
    }
    return failure === undefined ? 0 : exitCodeOf(failure, interrupts.first);
  } catch (error) {
    const coded = toCodedError(error);
    people.error(coded);
    return exitCodeOf(coded, interrupts.first);
  } finally {
    await Promise.all([people.close(), answer.flush(2000)]);
  }
}

/** The checks tell the rest. */
function say(event: SessionEvent, people: { event(event: SessionEvent): void }): void {
  if (event.event === "card.login" || event.event === "sign") people.event(event);
}

/** Never spends the last try, whoever would say yes. */
function sparing(source: PinSource): PinSource {
  return {
    isInteractive: source.isInteractive,
    ask: (request) => source.ask(request),
    confirmLastTry: async () => false,
  };
}

function failureOf({ code, text, hint, leg }: Check): CodedError {
  return new CodedError(code ?? ("internal" satisfies ErrorCode), text, { hint, leg });
}

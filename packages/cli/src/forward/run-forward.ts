import { DEFAULTS, type ForwardOptions, type Session, startSession } from "@farside/orchestrator";
import { type CodedError, isCodedError, type SessionEvent, toCodedError } from "@farside/protocol";
import { CollectWhenIdle } from "@farside/protocol/collect-when-idle";
import { SpareSigner } from "@farside/smartcard";
import type { CommandContext } from "../command-context.ts";
import type { ForwardArguments } from "../commands/forward.ts";
import { exitCodeOf } from "../exit-code.ts";
import { chooseIdentity } from "../identity/choose-identity.ts";
import { decideIdentity } from "../identity/identity-decision.ts";
import { noteOf } from "../identity/identity-note.ts";
import { sessionIdentity } from "../identity/session-identity.ts";
import { describeProgress } from "../output/describe-progress.ts";
import { JsonReporter } from "../output/json-reporter.ts";
import { openDescriptor } from "../output/line-sink.ts";
import { peopleReporter } from "../output/open-reporter.ts";
import type { PeopleReporter } from "../output/people-reporter.ts";
import { type Reporter, reportToAll } from "../output/reporter.ts";
import { choosePrompter } from "../prompt/choose-prompter.ts";
import { pinSource, withoutQuestions } from "../prompt/pin-source.ts";
import type { Prompter } from "../prompt/prompter.ts";
import { askHostKey, askKeyboardInteractive, askPassphrase, askRuntime } from "../prompt/questions.ts";
import { sessionOptionsOf } from "./forward-options.ts";
import { graceText } from "./grace-text.ts";
import { leaveRunning } from "./leave-running.ts";
import { runtimeFileOf } from "./runtime-file.ts";

const LIVE_INTERVAL_MS = 1000;

/** A session that has been started, and what its end is told with. */
export interface Attended {
  readonly session: Session;
  readonly argv: ForwardArguments;
  readonly context: CommandContext;
  readonly people: PeopleReporter;
  readonly reporter: Reporter;
}

export interface RunForwardOptions {
  /** Waits for the session's end, and closes it; resolves with the exit code. Default: until a signal. */
  readonly attend?: (attended: Attended) => Promise<number>;
  /** Whether people get a live line on a terminal. Default true. */
  readonly isLive?: boolean;
}

/** `farside forward`: runs until a signal or the session's own end, and says on every way what is left. */
export async function runForward(
  argv: ForwardArguments,
  context: CommandContext,
  { attend = argv.detach === true ? leaveRunning : endOf, isLive = true }: RunForwardOptions = {},
): Promise<number> {
  const { interrupts, env, stdout } = context;
  const people = peopleReporter(argv, context, isLive);
  const reporters: Reporter[] = [people];
  if (argv.json === true) reporters.push(new JsonReporter(stdout));
  if (argv.events !== undefined) reporters.push(new JsonReporter(openDescriptor(argv.events, "--events")));
  const reporter = reportToAll(reporters);
  const origin = argv["pin-source"];
  const prompter = choosePrompter({
    env,
    only: origin?.kind === "tty" || origin?.kind === "askpass" ? origin.kind : undefined,
    pause: () => reporter.pause(),
    onInterrupt: () => interrupts.take("SIGINT"),
    signal: interrupts.signal,
  });
  // Takes `env:NAME` out of the environment: before the first child, which reads ssh_config.
  const pins = pinSource({ origin, prompter, env });
  try {
    const options = sessionOptionsOf(argv);
    // Whatever ssh_config will say: a Node.js takes as long to start as ssh to be asked and the host to be dialled.
    const needsCard = chooseIdentity(argv, { pkcs11Provider: undefined }, env).kind === "card";
    await using spare = needsCard ? new SpareSigner({ env }) : undefined;
    reporter.step(`connecting to ${argv.jump}`);
    const { choice, isBatch } = await decideIdentity(argv, options, context);
    const named =
      choice.kind === "card" && choice.pinOrigin !== origin
        ? pinSource({ origin: choice.pinOrigin, prompter, env })
        : pins;
    const source = isBatch ? withoutQuestions(named) : named;
    const session = await startSession({
      ...options,
      ...questions(prompter),
      runtimeFile: runtimeFileOf(options, env),
      // With BatchMode nothing is asked, and nothing needs to be.
      askRuntime:
        prompter && !isBatch ? (shipment, signal) => askRuntime(prompter, shipment, signal) : undefined,
      onRuntimeProgress: (progress) => reporter.progress(describeProgress(progress)),
      identity: sessionIdentity(choice, argv, source, spare),
      identityNote: noteOf(choice, argv),
      stateFolder: undefined,
      logLevel: argv["log-level"] ?? DEFAULTS.logLevel,
      onAgentLog: (line) => reporter.log("debug", `agent: ${line}`),
      onBanner: (text) => {
        for (const line of text.trimEnd().split("\n")) reporter.log("info", `banner: ${line}`);
      },
      onEvent: teller(reporter, argv),
      signal: interrupts.signal,
    });
    using garbage = new CollectWhenIdle();
    session.subscribe(({ event }) => {
      if (event === "relay.open" || event === "relay.close")
        garbage.relaysChanged(session.counters.openRelays);
    });
    return await attend({ session, argv, context, people, reporter });
  } catch (error) {
    // Nothing was started. What a session itself ends with has been told by its events.
    const coded = toCodedError(error);
    reporter.error(coded);
    return exitCodeOf(coded, interrupts.first);
  } finally {
    await reporter.close();
  }
}

/** What a person can be asked; without one, what needs an answer fails with its own error. */
function questions(
  prompter: Prompter | undefined,
): Pick<ForwardOptions, "passphrase" | "askHostKey" | "keyboardInteractive"> {
  if (prompter === undefined) return {};
  return {
    passphrase: (file, options) => askPassphrase(prompter, file, options),
    askHostKey: (question, { signal }) => askHostKey(prompter, question, { signal }),
    keyboardInteractive: (prompts, options) => askKeyboardInteractive(prompter, prompts, options),
  };
}

/** Tells each event, and what comes next, as long as it is on its way to ready. */
function teller(reporter: Reporter, argv: ForwardArguments): (event: SessionEvent) => void {
  let isStarting = true;
  return (event) => {
    reporter.event(event);
    if (event.event === "ready") isStarting = false;
    if (!isStarting) return;
    if (event.event === "hop.connected" && event.leg === "jump")
      reporter.step(argv.engine === "openssh" ? "asking for its ssh" : "starting the agent");
    if (event.event === "agent.ready" || event.event === "engine.ready") {
      const hops = argv.via === undefined ? "" : " and logging in to the hops behind it";
      reporter.step(`opening the listeners${hops}`);
    }
  };
}

/** Waits for the session's end, which the signals bring about, and turns it into the exit code. */
async function endOf({ session, argv, context: { interrupts }, people }: Attended): Promise<number> {
  const off = interrupts.onStep((step) => {
    if (step === "kill") session.kill();
    else if (step === "hurry") session.escalate();
    else {
      const waitsFor = graceText(session.counters.openRelays, argv.grace ?? DEFAULTS.graceMs);
      if (waitsFor === undefined) people.step("ending the session");
      else people.log("info", waitsFor);
      void session.close({ graceMs: argv.grace });
    }
  });
  const live = setInterval(() => void showLive(session, people), LIVE_INTERVAL_MS);
  try {
    const { failure } = await session.closed;
    return failure === undefined ? 0 : exitCodeOf(failure satisfies CodedError, interrupts.first);
  } finally {
    clearInterval(live);
    off();
  }
}

/** The bytes of relays that are still open, which no event tells. */
async function showLive(session: Session, people: PeopleReporter): Promise<void> {
  if (!people.showsOpenRelays) return;
  try {
    const { forwards } = await session.describe({ signal: AbortSignal.timeout(LIVE_INTERVAL_MS) });
    const sum = (count: "bytesIn" | "bytesOut") =>
      forwards.reduce((total, forward) => total + forward[count], 0);
    people.bytes(sum("bytesIn"), sum("bytesOut"));
  } catch (error) {
    // An agent that is gone or slow is told of elsewhere.
    if (!isCodedError(error) && !(error instanceof DOMException)) throw error;
  }
}

import {
  BuildServer,
  cardEvents,
  type JumpLogin,
  type LoginOptions,
  planJumpLogin,
} from "@farside/orchestrator";
import type { SessionEvent } from "@farside/protocol";
import type { Identity, JumpChain } from "@farside/ssh";
import type { CommandContext } from "../command-context.ts";
import type { AgentArguments } from "../commands/agent.ts";
import { chooseIdentity, type IdentityWish } from "../identity/choose-identity.ts";
import { noteOf } from "../identity/identity-note.ts";
import { openIdentity } from "../identity/open-identity.ts";
import { jumpWithPort, sshOptionsOf } from "../options/ssh-arguments.ts";
import type { PeopleReporter } from "../output/people-reporter.ts";
import { choosePrompter } from "../prompt/choose-prompter.ts";
import { pinSource, withoutQuestions } from "../prompt/pin-source.ts";
import { askHostKey, askKeyboardInteractive, askPassphrase } from "../prompt/questions.ts";

/** A login to a build server, with what made it. */
export interface AgentLogin extends AsyncDisposable {
  readonly login: JumpLogin;
  readonly chain: JumpChain;
  /** What logged in, and what is lent to agents: one PIN for both. */
  readonly identity: Identity;
  /** How it was done, for the record: no secrets. */
  readonly options: LoginOptions;
  readonly identityNote: Record<string, string>;
}

/** Logs in to the build server as the command line says. */
export async function logInToBuildServer(
  argv: AgentArguments,
  { env, interrupts }: CommandContext,
  people: PeopleReporter,
): Promise<AgentLogin> {
  const { signal } = interrupts;
  const origin = argv["pin-source"];
  const prompter = choosePrompter({
    ...{ env, signal, pause: () => people.pause(), onInterrupt: () => interrupts.take("SIGINT") },
    only: origin?.kind === "tty" || origin?.kind === "askpass" ? origin.kind : undefined,
  });
  // Takes `env:NAME` out of the environment: before the first child, which reads ssh_config.
  const source = pinSource({ origin, prompter, env });
  const options: LoginOptions = {
    jump: jumpWithPort(argv.host, argv.p),
    ...{
      jumps: argv.J,
      configFile: argv.F,
      sshOptions: sshOptionsOf(argv),
      hostKeyCheck: argv["host-key-check"],
    },
    knownHostsFiles: argv["known-hosts"] === undefined ? undefined : [argv["known-hosts"]],
    ...(prompter && {
      askHostKey: (question, rest) => askHostKey(prompter, question, rest),
      keyboardInteractive: (prompts, rest) => askKeyboardInteractive(prompter, prompts, rest),
    }),
    signal,
  };
  const login = await planJumpLogin(options, { onWarning: (text) => people.warn(text) });
  const { configs, jump, isBatch } = login;
  const wish: IdentityWish = argv;
  const choice = chooseIdentity(wish, jump, env);
  const emit = (event: object) => people.event({ ...event, at: new Date().toISOString() } as SessionEvent);
  const identity = await openIdentity({
    ...{ choice, wish, configs, signal, cardEvents: cardEvents(emit) },
    pinSource: isBatch ? withoutQuestions(source) : source,
    passphrase: prompter && !isBatch ? (file, rest) => askPassphrase(prompter, file, rest) : undefined,
  });
  try {
    const chain = await login.connect(identity, { signal });
    return {
      ...{ login, chain, identity, options, identityNote: noteOf(choice, wish) },
      async [Symbol.asyncDispose]() {
        await chain.close().catch(() => undefined);
        await identity.close();
      },
    };
  } catch (error) {
    await identity.close();
    throw error;
  }
}

/** Starts the installer on the build server of `login`. The caller closes it. */
export function connectBuildServer(
  { login, chain }: AgentLogin,
  argv: Pick<AgentArguments, "remote-node">,
  { interrupts }: CommandContext,
  people: PeopleReporter,
): Promise<BuildServer> {
  people.step("looking at what is installed there");
  return BuildServer.connect({
    ...{ hop: chain.last, host: login.host, remoteNode: argv["remote-node"], signal: interrupts.signal },
    onLog: (chunk) => people.log("debug", chunk.toString().trimEnd()),
  });
}

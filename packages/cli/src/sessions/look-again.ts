import {
  cardEvents,
  type LoginOptions,
  planJumpLogin,
  type SessionRecord,
  type TeardownOptions,
} from "@farside/orchestrator";
import type { SessionEvent } from "@farside/protocol";
import type { Identity, JumpChain } from "@farside/ssh";
import type { CommandContext } from "../command-context.ts";
import type { TeardownArguments } from "../commands/teardown.ts";
import { chooseIdentity } from "../identity/choose-identity.ts";
import { wishOf } from "../identity/identity-note.ts";
import { openIdentity } from "../identity/open-identity.ts";
import { sshOptionsOf } from "../options/ssh-arguments.ts";
import type { PeopleReporter } from "../output/people-reporter.ts";
import { choosePrompter } from "../prompt/choose-prompter.ts";
import { pinSource, withoutQuestions } from "../prompt/pin-source.ts";
import { askHostKey, askKeyboardInteractive, askPassphrase } from "../prompt/questions.ts";

/** Logs in to the hosts of sessions whose orchestrator is dead. */
export interface LookAgain {
  readonly connect: NonNullable<TeardownOptions["connect"]>;
  /** Logs in to a host that no session is known of. */
  readonly connectTo: (host: string, signal: AbortSignal) => Promise<JumpChain>;
  /** Closes what was opened to log in. */
  readonly close: () => Promise<void>;
}

/**
 * Logs in as the session did, but for what the command line says now. Sessions with the same identity share it, so that
 * there is one PIN for all of them.
 */
export function lookAgain(
  argv: TeardownArguments,
  { env, interrupts }: CommandContext,
  people: PeopleReporter,
): LookAgain {
  const { signal } = interrupts;
  const origin = argv["pin-source"];
  const prompter = choosePrompter({
    env,
    only: origin?.kind === "tty" || origin?.kind === "askpass" ? origin.kind : undefined,
    pause: () => people.pause(),
    onInterrupt: () => interrupts.take("SIGINT"),
    signal,
  });
  const source = pinSource({ origin, prompter, env });
  const identities = new Map<string, Promise<Identity>>();
  const emit = (event: object) => people.event({ ...event, at: new Date().toISOString() } as SessionEvent);
  const connect = async (record: Pick<SessionRecord, "jump" | "login">, connectSignal: AbortSignal) => {
    const login = await planJumpLogin(
      {
        ...loginOptionsOf(record, argv),
        ...(prompter && {
          askHostKey: (question, rest) => askHostKey(prompter, question, rest),
          keyboardInteractive: (prompts, rest) => askKeyboardInteractive(prompter, prompts, rest),
        }),
        signal: connectSignal,
      },
      { onWarning: (text) => people.warn(text) },
    );
    const { configs, jump, isBatch } = login;
    const wish = wishOf(record.login?.identity ?? {}, argv);
    const choice = chooseIdentity(wish, jump, env);
    const places =
      choice.kind === "card" ? [] : configs.map((config) => [config.identityAgent, config.identityFiles]);
    const name = JSON.stringify([choice, wish.token, wish.key, wish["pin-pad"], isBatch, places]);
    const opening =
      identities.get(name) ??
      openIdentity({
        ...{ choice, wish, configs, signal, cardEvents: cardEvents(emit) },
        pinSource: isBatch ? withoutQuestions(source) : source,
        passphrase:
          prompter && !isBatch ? (file, options) => askPassphrase(prompter, file, options) : undefined,
      });
    identities.set(name, opening);
    return login.connect(await opening, { signal: connectSignal });
  };
  return {
    connect: ({ record }, connectSignal) => connect(record, connectSignal),
    connectTo: (jump, connectSignal) => connect({ jump, login: undefined }, connectSignal),
    close: async () => {
      for (const opening of identities.values()) await (await opening.catch(() => undefined))?.close();
    },
  };
}

/** How the session logged in; each option that is given now takes the place of the session's. */
export function loginOptionsOf(
  { jump, login = {} }: Pick<SessionRecord, "jump" | "login">,
  argv: TeardownArguments,
): LoginOptions {
  return {
    jump,
    jumps: login.jumps,
    configFile: argv.F ?? login.configFile,
    sshOptions: sshOptionsOf({ o: [...(argv.o ?? []), ...Object.entries(login.sshOptions ?? {})] }),
    knownHostsFiles: argv["known-hosts"] === undefined ? login.knownHostsFiles : [argv["known-hosts"]],
    hostKeyCheck: argv["host-key-check"] ?? login.hostKeyCheck,
  };
}

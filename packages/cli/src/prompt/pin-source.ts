import { CodedError } from "@farside/protocol";
import { type PinReason, type PinRequest, type PinSource, pinSourceFrom } from "@farside/smartcard";
import type { PinOrigin } from "../options/pin-source.ts";
import { DescriptorLines } from "./descriptor-lines.ts";
import type { Prompter } from "./prompter.ts";

export interface PinSourceOptions {
  /** `--pin-source`, where it was given. */
  readonly origin: PinOrigin | undefined;
  /** Who can be asked. */
  readonly prompter: Prompter | undefined;
  /** farside's own environment: the variable of `env:NAME` is taken out of it, so that no child gets it. */
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Where the card's PIN comes from: a person, or what `--pin-source` names. Make it before any child is started. A person
 * who is there is asked about the last try whatever the source; nobody else says yes.
 */
export function pinSource({ origin, prompter, env }: PinSourceOptions): PinSource {
  const confirmLastTry = async (request: PinRequest): Promise<boolean> =>
    (await prompter?.askYes({
      before: [`The card "${request.token}" has one PIN try left. A wrong PIN now locks it.`],
      message: "Spend the last try?",
      signal: request.signal,
    })) ?? false;
  switch (origin?.kind) {
    case "env":
      return { ...pinSourceFrom(`env:${origin.name}`, env), confirmLastTry };
    case "file":
      return { ...pinSourceFrom(`file:${origin.path}`, env), confirmLastTry };
    case "fd": {
      const lines = new DescriptorLines(origin.fd);
      return { isInteractive: false, confirmLastTry, ask: ({ signal }) => lines.next(signal) };
    }
    default:
      return {
        isInteractive: true,
        confirmLastTry,
        ask: (request) => askPerson(request, prompter, origin?.kind),
      };
  }
}

/** BatchMode of ssh_config: a source that would ask somebody fails instead. */
export function withoutQuestions(source: PinSource): PinSource {
  const confirmLastTry = async () => false;
  if (!source.isInteractive) return { ...source, confirmLastTry };
  return {
    isInteractive: false,
    confirmLastTry,
    ask: async () => {
      throw unavailable("BatchMode of ssh_config forbids questions");
    },
  };
}

/** Why it is asked again; nothing for the one time that is expected. */
const reasons: Readonly<Record<PinReason, string | undefined>> = {
  first: undefined,
  "card-reinserted": "The card was put in again, so it wants its PIN again.",
  "card-reset": "The card has forgotten its login: the machine slept, or another program used it.",
  "signer-restarted": "The card's module had to be started again, so the card wants its PIN again.",
  "wrong-pin": "The card refused that PIN.",
  "always-authenticate": "This key wants the PIN for each signature.",
};

async function askPerson(
  request: PinRequest,
  prompter: Prompter | undefined,
  only: "tty" | "askpass" | undefined,
): Promise<string> {
  if (prompter === undefined) {
    throw unavailable(
      only === "askpass" ? "SSH_ASKPASS is not set" : "there is no terminal, and no SSH_ASKPASS program",
    );
  }
  const { token, reason, triesLeft, signal } = request;
  const why = reasons[reason];
  const before = why === undefined ? [] : [why];
  if (triesLeft !== undefined)
    before.push(triesLeft === 1 ? "One try is left." : `${triesLeft} tries are left.`);
  // What is promised: one entry for deploy, hops and reconnects.
  const budget = reason === "first" ? "PIN 1 of 1" : "PIN";
  return prompter.askSecret({ before, message: `${budget} for card "${token}":`, signal });
}

function unavailable(why: string): CodedError {
  return new CodedError("card.pin-unavailable", `cannot ask for the card's PIN: ${why}`, {
    leg: "card",
    hint: "Run it in a terminal, or name a source: --pin-source askpass, env:NAME, fd:N or file:PATH.",
  });
}

import { isCodedError } from "@farside/protocol";
import { openCard, type PinRequest, type PinSource, testSignature } from "@farside/smartcard";
import fc from "fast-check";
import type { CardKey } from "../lab/card/card-keys.ts";
import { ReaderWithCard, VirtualSigner } from "./virtual-signer.ts";

const RIGHT = "123456";
const WRONG = "654321";

/** What may happen to a card, to the process that holds it, and to whoever is asked for its PIN. */
type Happening =
  | "sign"
  | "type-right"
  | "type-wrong"
  | "walk-away"
  | "abort"
  | "remove"
  | "insert"
  | "reset"
  | "pull-while-working"
  | "crash"
  | "look";
const happenings: readonly Happening[] = [
  ...["sign", "sign", "type-right", "type-right", "type-wrong", "walk-away", "abort"],
  ...["remove", "insert", "insert", "reset", "pull-while-working", "crash", "look", "look"],
] as Happening[];

interface Plan {
  readonly steps: readonly Happening[];
  readonly whileRemoved: "wait" | "fail";
  /** A person, or a file that always gives the same. */
  readonly source: "person" | "right-file" | "wrong-file";
  readonly confirmsLastTry: boolean;
}

const plans: fc.Arbitrary<Plan> = fc.record({
  steps: fc.array(fc.constantFrom(...happenings), { minLength: 3, maxLength: 16 }),
  whileRemoved: fc.constantFrom("wait", "fail"),
  source: fc.constantFrom("person", "person", "right-file", "wrong-file", "wrong-file"),
  confirmsLastTry: fc.boolean(),
});

/** A person at a prompt: types when told to, or leaves it. Counts what was really typed. */
class Person implements PinSource {
  readonly isInteractive = true;
  readonly typed: string[] = [];
  confirmed = 0;
  readonly #confirms: boolean;
  #open: ((pin: string | undefined) => void) | undefined;

  constructor(confirms: boolean) {
    this.#confirms = confirms;
  }

  async ask({ signal }: PinRequest): Promise<string> {
    const pin = await new Promise<string | undefined>((resolve) => {
      this.#open = resolve;
      signal?.addEventListener("abort", () => resolve(undefined), { once: true });
    });
    this.#open = undefined;
    signal?.throwIfAborted();
    if (pin === undefined) throw new Error("walked away");
    return pin;
  }

  async confirmLastTry(): Promise<boolean> {
    if (this.#confirms) this.confirmed += 1;
    return this.#confirms;
  }

  type(pin: string): void {
    if (this.#open === undefined) return;
    this.typed.push(pin);
    this.#open(pin);
  }

  walkAway(): void {
    this.#open?.(undefined);
  }
}

class PinFile implements PinSource {
  readonly isInteractive = false;
  readonly #pin: string;

  constructor(pin: string) {
    this.#pin = pin;
  }

  ask = async (): Promise<string> => this.#pin;
  confirmLastTry = async (): Promise<boolean> => false;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Runs one plan: what of it was against the rules, and how many PINs came to the card. */
async function runPlan(plan: Plan, key: CardKey): Promise<{ broken: string[]; tries: number }> {
  const reader = new ReaderWithCard(key, RIGHT);
  const person = new Person(plan.confirmsLastTry);
  const pinSource =
    plan.source === "person" ? person : new PinFile(plan.source === "right-file" ? RIGHT : WRONG);
  let signer: VirtualSigner | undefined;
  const card = await openCard({
    provider: "/dev/null",
    pinSource,
    login: "on-sign",
    watchIntervalMs: 1,
    whileRemoved: plan.whileRemoved,
    startSigner: async () => {
      signer = new VirtualSigner(reader);
      return signer;
    },
  });
  const aborts: AbortController[] = [];
  const outcomes: Promise<string | undefined>[] = [];
  for (const step of plan.steps) {
    if (step === "sign") {
      const abort = new AbortController();
      aborts.push(abort);
      outcomes.push(
        testSignature(card, { signal: abort.signal }).then(
          () => undefined,
          (error: unknown) => unexpected(error),
        ),
      );
    } else if (step === "type-right") person.type(RIGHT);
    else if (step === "type-wrong") person.type(WRONG);
    else if (step === "walk-away") person.walkAway();
    else if (step === "abort") aborts.shift()?.abort(new Error("not wanted"));
    else if (step === "remove") reader.remove();
    else if (step === "insert") reader.insert();
    else if (step === "reset") reader.reset();
    else if (step === "pull-while-working") reader.losesNextAnswer = true;
    else if (step === "crash") signer?.crash();
    else await new Promise((resolve) => setTimeout(resolve, 3));
    for (let count = 0; count < 6; count += 1) await turn();
  }
  for (const abort of aborts) abort.abort(new Error("not wanted"));
  person.walkAway();
  const bugs = (await Promise.all(outcomes)).filter((outcome) => outcome !== undefined);
  await card.close();
  return { broken: [...bugs, ...brokenRules(plan, reader, person)], tries: reader.sent.length };
}

/** Only errors that an operator can understand leave a card. */
function unexpected(error: unknown): string | undefined {
  if (isCodedError(error)) return error.code === "internal" ? error.message : undefined;
  const { message } = error as Error;
  return ["not wanted", "walked away"].includes(message) ? undefined : `not a coded error: ${message}`;
}

function brokenRules(plan: Plan, { sent, card }: ReaderWithCard, person: Person): string[] {
  const broken: string[] = [];
  const wrong = sent.filter(({ pin }) => pin !== RIGHT);
  if (plan.source === "person") {
    // What came to the card is what was typed, each entry at most once and in order.
    let at = 0;
    for (const { pin } of sent) {
      while (at < person.typed.length && person.typed[at] !== pin) at += 1;
      if (at === person.typed.length) broken.push("a PIN came to the card that nobody had typed");
      at += 1;
    }
    const lastTries = sent.filter(({ triesLeft }) => triesLeft === 1).length;
    if (lastTries > person.confirmed) broken.push("the last try was spent without a yes");
  } else {
    if (wrong.length > 1) broken.push("a wrong PIN of a file was sent twice");
    if (sent.some(({ triesLeft }) => triesLeft === 1)) broken.push("a file spent the last try");
  }
  if (sent.some(({ triesLeft }) => triesLeft === 0)) broken.push("a locked card was tried");
  if (card.counters.verifies !== sent.length) broken.push("the card counted other tries than were sent");
  return broken;
}

export interface PinTriesReport {
  readonly sequences: number;
  /** PINs that came to the card. */
  readonly tries: number;
  readonly seed: number;
}

/**
 * Plays `sequences` random sequences of events against the virtual card's retry counter. Throws, with the shortest sequence
 * that shows it, where a PIN try came to the card that no entry of the operator's stands behind.
 */
export async function playPinSequences(options: {
  readonly sequences: number;
  readonly seed: number;
  readonly key: CardKey;
}): Promise<PinTriesReport> {
  const { sequences, seed, key } = options;
  let played = 0;
  let sent = 0;
  await fc.assert(
    fc.asyncProperty(plans, async (plan) => {
      played += 1;
      const { broken, tries } = await runPlan(plan, key);
      sent += tries;
      if (broken.length > 0) throw new Error(broken.join("; "));
    }),
    { numRuns: sequences, seed, endOnFailure: false },
  );
  return { sequences: played, tries: sent, seed };
}

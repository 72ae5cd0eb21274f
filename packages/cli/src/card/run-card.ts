import { cardEvents } from "@farside/orchestrator";
import type { SessionEvent } from "@farside/protocol";
import {
  type CardIdentity,
  type ListedToken,
  listKeys,
  listTokens,
  openCard,
  testSignature,
} from "@farside/smartcard";
import { publicKeyLine } from "@farside/ssh";
import type { CommandContext } from "../command-context.ts";
import type { CardArguments, CardSubcommand } from "../commands/card.ts";
import { times } from "../output/describe-event.ts";
import { jsonLine } from "../output/json-line.ts";
import { LineSink } from "../output/line-sink.ts";
import { peopleReporter } from "../output/open-reporter.ts";
import type { PeopleReporter } from "../output/people-reporter.ts";
import { table } from "../output/table.ts";
import { choosePrompter } from "../prompt/choose-prompter.ts";
import { pinSource } from "../prompt/pin-source.ts";

/** Everything a subcommand needs. */
interface CardRun {
  readonly argv: CardArguments;
  readonly context: CommandContext;
  readonly reporter: PeopleReporter;
  readonly choice: { readonly provider: string | undefined; readonly token?: string; readonly key?: string };
  /** Logs in to the card. */
  readonly open: () => Promise<CardIdentity>;
  /** A line of the answer, on stdout. */
  readonly print: (line: string) => void;
}

/** `farside card list|keys|test`. */
export async function runCard(
  subcommand: CardSubcommand,
  argv: CardArguments,
  context: CommandContext,
): Promise<number> {
  const { env, interrupts, stdout } = context;
  const reporter = peopleReporter(argv, context);
  const answer = new LineSink(stdout);
  const origin = argv["pin-source"];
  const prompter = choosePrompter({
    env,
    only: origin?.kind === "tty" || origin?.kind === "askpass" ? origin.kind : undefined,
    pause: () => reporter.pause(),
    onInterrupt: () => interrupts.take("SIGINT"),
    signal: interrupts.signal,
  });
  const source = pinSource({ origin, prompter, env });
  const choice = {
    provider: argv["pkcs11-provider"] ?? env["FARSIDE_PKCS11_PROVIDER"],
    ...(argv.token === undefined ? {} : { token: argv.token }),
    ...(argv.key === undefined ? {} : { key: argv.key }),
  };
  const open = () =>
    openCard({
      ...choice,
      pinSource: source,
      pinPad: argv["pin-pad"] ?? false,
      events: cardEvents((event) =>
        reporter.event({ ...event, at: new Date().toISOString() } as SessionEvent),
      ),
      watchIntervalMs: 0,
      signal: interrupts.signal,
    });
  try {
    reporter.step("reading the card");
    const run: CardRun = { argv, context, reporter, choice, open, print: (line) => answer.write(line) };
    await { list, keys, test }[subcommand](run);
    return 0;
  } finally {
    await Promise.all([reporter.close(), answer.flush(2000)]);
  }
}

async function list({ argv, choice, context, reporter, print }: CardRun): Promise<void> {
  const { readers, tokens } = await listTokens({
    ...{ ...choice, withTries: true, withKeys: true },
    signal: context.interrupts.signal,
  });
  if (argv.json === true) {
    for (const token of tokens) print(jsonLine(token));
    return;
  }
  if (tokens.length === 0) {
    reporter.log(
      "error",
      readers === 0 ? "no card reader" : `no card in ${times(readers, "reader", "readers")}`,
    );
    return;
  }
  const rows = tokens.map((token) => {
    const { label, serial, model, reader, pinPad } = token;
    return [label, serial, model, reader, pinPad ? `${pinWords(token)}, PIN pad` : pinWords(token)];
  });
  for (const line of table(["TOKEN", "SERIAL", "MODEL", "READER", "PIN"], rows)) print(line);
  const keyRows = tokens.flatMap(({ label: token, keys: shown = [] }) =>
    shown.map(({ id, label, type }) => [id, label, type, token]),
  );
  if (keyRows.length > 0)
    for (const line of ["", ...table(["KEY", "LABEL", "TYPE", "TOKEN"], keyRows)]) print(line);
  for (const { label, keys: shown } of tokens)
    if (shown?.length === 0 && argv.key === undefined)
      reporter.log("info", `${label} shows no key that can log in: farside card keys asks for its PIN`);
}

function pinWords({ pin, triesLeft }: ListedToken): string {
  if (triesLeft !== undefined && triesLeft > 1) return times(triesLeft, "try left", "tries left");
  return { ok: "ok", low: "few tries left", "last-try": "last try", locked: "locked" }[pin];
}

async function keys({ argv, choice, context, reporter, open, print }: CardRun): Promise<void> {
  const listed = await listKeys({ ...choice, signal: context.interrupts.signal });
  if (listed.keys.length > 0 || listed.needsLogin.length === 0) {
    if (listed.keys.length === 0) reporter.warn("the card has no key that can log in");
    for (const key of listed.keys) print(argv.json === true ? jsonLine(key) : key.authorizedKeysLine);
    return;
  }
  // The card shows its keys to those who have logged in.
  await using card = await open();
  for (const { id, label, publicKey } of card.keys) {
    const line = publicKeyLine(publicKey);
    const key = { token: card.tokenLabel, id: Buffer.from(id).toString("hex"), label, type: publicKey.type };
    print(argv.json === true ? jsonLine({ ...key, authorizedKeysLine: line }) : line);
  }
}

async function test({ argv, context, reporter, open, print }: CardRun): Promise<void> {
  await using card = await open();
  reporter.step("signing a test");
  const { algorithm, durationMs } = await testSignature(card, { signal: context.interrupts.signal });
  const [key] = card.keys;
  const { pinEntries, tokenLabel } = card;
  if (argv.json === true) {
    const id = Buffer.from(key?.id ?? []).toString("hex");
    const facts = {
      token: tokenLabel,
      key: key?.label ?? "",
      id,
      algorithm,
      durationMs: Math.round(durationMs),
    };
    print(jsonLine({ ...facts, pinEntries }));
    return;
  }
  print(
    `signed a test with key "${key?.label ?? ""}" (${algorithm}) in ${Math.round(durationMs)} ms, and the signature is right: ` +
      times(pinEntries, "PIN entry", "PIN entries"),
  );
}

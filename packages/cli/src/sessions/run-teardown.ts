import {
  listSessions,
  parseHopSpec,
  stateFolder,
  teardownHost,
  teardownSession,
} from "@farside/orchestrator";
import { isCodedError, type Receipt, toCodedError } from "@farside/protocol";
import type { CommandContext } from "../command-context.ts";
import type { TeardownArguments } from "../commands/teardown.ts";
import { exitCodeOf } from "../exit-code.ts";
import { openText } from "../forward/grace-text.ts";
import { jsonLine } from "../output/json-line.ts";
import { LineSink } from "../output/line-sink.ts";
import { peopleReporter } from "../output/open-reporter.ts";
import type { PeopleReporter } from "../output/people-reporter.ts";
import { usageError } from "../usage-error.ts";
import { type LookAgain, lookAgain } from "./look-again.ts";

const LEFTOVERS_EXIT_CODE = 75;

/** `farside teardown`: 0 when nothing is left, 75 and the list when something is, or when nobody could look. */
export async function runTeardown(argv: TeardownArguments, context: CommandContext): Promise<number> {
  const names = new Set(argv.session ?? []);
  const hosts = [...new Set(argv.host ?? [])];
  for (const host of hosts) parseHopSpec(host, "--host");
  if (names.size === 0 && argv.all !== true && hosts.length === 0)
    throw usageError("say which session to end, or --all, or --host HOST", "farside status lists them.");
  if (names.size > 0 && argv.all === true)
    throw usageError("sessions and --all do not go together", "Give one.");
  const people = peopleReporter(argv, context);
  const answer = new LineSink(context.stdout);
  const connecting = lookAgain(argv, context, people);
  const root = stateFolder(context.env);
  try {
    if (argv.all === true) for (const { record } of await listSessions(root)) names.add(record.name);
    const what = [...names, ...hosts.map((host) => `everything on ${host}`)];
    if (what.length > 0) people.step(`ending ${what.join(", ")}`);
    const tell = (receipt: Receipt) => {
      if (argv.json === true) answer.write(jsonLine(receipt));
      people.event({ event: "receipt", at: now(), ...receipt });
    };
    const { connect } = connecting;
    const { signal } = context.interrupts;
    const ended = await Promise.all(
      [...names].map((name) => endOne(name, { stateFolder: root, connect, signal }, tell, people, context)),
    );
    // What the sessions left goes with them; only then is a host asked for the rest.
    const swept = await Promise.all(hosts.map((host) => sweepHost(host, connecting, signal, tell)));
    return Math.max(0, ...ended, ...swept);
  } finally {
    await connecting.close();
    await Promise.all([people.close(), answer.flush(2000)]);
  }
}

async function sweepHost(
  host: string,
  { connectTo }: LookAgain,
  signal: AbortSignal,
  tell: (receipt: Receipt) => void,
): Promise<number> {
  const receipt = await teardownHost({ host, connect: (late) => connectTo(host, late), signal });
  tell(receipt);
  return receipt.clean ? 0 : LEFTOVERS_EXIT_CODE;
}

type TeardownOptions = Parameters<typeof teardownSession>[1];

async function endOne(
  name: string,
  options: TeardownOptions,
  tell: (receipt: Receipt) => void,
  people: PeopleReporter,
  { interrupts }: CommandContext,
): Promise<number> {
  const onSlow = (openRelays: number, graceMs: number) =>
    people.step(`ending ${name}: ${openText(openRelays, graceMs) ?? "its farside goes on with it"}`);
  try {
    const receipt = await teardownSession(name, { ...options, onSlow });
    tell(receipt);
    return receipt.clean ? 0 : LEFTOVERS_EXIT_CODE;
  } catch (error) {
    const coded = toCodedError(error);
    // Idempotent: what is gone is what was asked for.
    if (isCodedError(error) && error.code === "session.not-found") {
      people.warn(`there is no session ${name} on this workstation: nothing to end`);
      return 0;
    }
    people.error(coded);
    return exitCodeOf(coded, interrupts.first);
  }
}

function now(): string {
  return new Date().toISOString();
}

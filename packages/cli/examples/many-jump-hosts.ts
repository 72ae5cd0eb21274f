/**
 * Many jump hosts from one program: one card and one PIN (of SSH_ASKPASS, or FARSIDE_PIN_SOURCE), the same forward on each of them. Prints a line
 * for each; Ctrl-C tears all of them down.
 *
 *   tsx --conditions=@farside/source examples/many-jump-hosts.ts 4444:localhost:4444 signer@sign build-1 build-2 …
 */
import {
  cardEvents,
  deployAndForward,
  formatBind,
  type Session,
  SharedIdentity,
} from "@farside/orchestrator";
import type { SessionEvent } from "@farside/protocol";
import { openCard, pinSourceFrom } from "@farside/smartcard";

const [forwards = "", via = "", ...jumps] = process.argv.slice(2);
const print = (line: string): boolean => process.stdout.write(`${line}\n`);
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => stop.abort(new Error("stopped")));

const pinSource = pinSourceFrom(process.env["FARSIDE_PIN_SOURCE"] ?? "askpass", process.env);
await using card = await SharedIdentity.open(
  ({ emit }) => openCard({ pinSource, whileRemoved: "wait", events: cardEvents(emit), signal: stop.signal }),
  { onEvent: tell },
);

function tell(event: SessionEvent): void {
  if (event.event === "warning") print(event.message);
  if (event.event === "card.login") print(`card "${event.token}": logged in, PIN entry ${event.pinEntries}`);
}

const sessions: Session[] = [];
async function start(jump: string): Promise<void> {
  try {
    const identityNote = { identity: "card" };
    const session = await deployAndForward({
      ...{ jump, forwards, via, identity: card, identityNote },
      signal: stop.signal,
    });
    sessions.push(session);
    const places = session.forwards.flatMap(({ bound }) => bound.map(formatBind));
    print(`${jump}: open at ${places.join(", ")} (${sessions.length} of ${jumps.length})`);
    const { failure } = await session.closed;
    if (failure !== undefined) print(`${jump}: ${failure.message}`);
  } catch (error) {
    print(`${jump}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
const all = jumps.map(start);

// Here the ports are used, until Ctrl-C.
await new Promise((resolve) => stop.signal.addEventListener("abort", resolve, { once: true }));
const ends = await Promise.all(sessions.map((session) => session.close()));
await Promise.all(all);
print(`${ends.filter(({ receipt }) => receipt?.clean === true).length} of ${sessions.length} are clean`);

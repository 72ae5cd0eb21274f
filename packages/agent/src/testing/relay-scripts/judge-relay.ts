import { type RelayScript, type ScriptEnd, scriptEnds } from "./relay-script.ts";
import type { EndSight } from "./scripted-end.ts";

export type Sights = Readonly<Record<ScriptEnd, EndSight>>;

export interface Judged {
  readonly script: RelayScript;
  readonly sights: Sights;
  readonly outcome: { readonly reason: string };
  /** Client to target, and back, as the relay counted. */
  readonly bytes: { readonly in: number; readonly out: number };
  /** Whether a reset can be passed on as one: not through an SSH channel (RFC 4254, 5.3). */
  readonly passesResets: boolean;
}

/** What is not as on a connection without a forwarder, or as through `ssh -L` where resets don't pass, a line each. */
export function judgeRelay(judged: Judged): string[] {
  return [...ofWholeRelay(judged), ...scriptEnds.flatMap((end) => ofDirectionTo(end, judged))];
}

function ofWholeRelay({ script, sights, outcome, bytes }: Judged): string[] {
  const { client, service } = sights;
  const isOrderly = script.cutAfter === undefined && client.left === "end" && service.left === "end";
  return isOrderly
    ? [
        ...(outcome.reason === "end" ? [] : [`both ends ended, and the relay says ${outcome.reason}`]),
        ...(bytes.in === client.sent ? [] : [`${client.sent} bytes in, counted as ${bytes.in}`]),
        ...(bytes.out === service.sent ? [] : [`${service.sent} bytes out, counted as ${bytes.out}`]),
      ]
    : [];
}

function ofDirectionTo(to: ScriptEnd, { script, sights, passesResets }: Judged): string[] {
  const from = to === "client" ? "service" : "client";
  const [receiver, sender] = [sights[to], sights[from]];
  const isCut = script.cutAfter !== undefined;
  const problems: string[] = [];
  const isWrong = (what: string): void => {
    problems.push(
      `${from} to ${to}: ${what}: ${sender.sent} bytes sent and left by ${sender.left}, ${receiver.received} received and saw ${receiver.saw}`,
    );
  };
  if (!receiver.isIntact) isWrong("other bytes than were sent");
  if (receiver.received > sender.sent) isWrong("more bytes than were sent");
  const isWhole = receiver.received === sender.sent;
  // Who goes may see what it likes.
  if (receiver.left !== "end") return problems;

  const isOrderly =
    sender.left === "end" || (sender.left === "close" && sender.isFlushed && sender.hadReadAll);
  const nothingCame = sights[from].received === receiver.sent;
  if (!isCut && isOrderly && (sender.left === "end" || nothingCame)) {
    if (!isWhole) isWrong("bytes are missing");
    if (receiver.saw === "reset") isWrong("not an end");
  }
  // What a stop cuts: the client always learns that it was cut; a service behind SSH can't.
  const mustBeWhole = passesResets || (to === "client" && isCut && sender.left === "end");
  if (receiver.saw === "end" && mustBeWhole) {
    if (sender.left === "reset" && !sender.endedFirst) isWrong("a reset that looks like an end");
    if (!isWhole && !(sender.left === "close" && !sender.isFlushed)) isWrong("looks whole, and is not");
  }
  if (receiver.saw === "nothing") isWrong("neither an end nor a reset");
  return problems;
}

import type { RuntimeShipment } from "@farside/orchestrator";
import type { HostKeyQuestion, KeyboardPrompts } from "@farside/ssh";
import prettyBytes from "pretty-bytes";
import type { Prompter } from "./prompter.ts";

/** The passphrase of an encrypted key file; asked again where `triesLeft` has gone down. */
export function askPassphrase(
  prompter: Prompter,
  file: string,
  { triesLeft, signal }: { triesLeft: number; signal: AbortSignal | undefined },
): Promise<string> {
  const before = triesLeft < 3 ? ["That passphrase does not open the key."] : [];
  return prompter.askSecret({ before, message: `Passphrase of ${file}:`, signal });
}

/** Whether to trust a host key that nobody knows yet. `reportedBy`: the jump host, where only it has seen the key. */
export function askHostKey(
  prompter: Prompter,
  { place, type, fingerprint, reportedBy }: HostKeyQuestion & { readonly reportedBy?: string | undefined },
  { signal }: { readonly signal?: AbortSignal | undefined },
): Promise<boolean> {
  const name = place.port === 22 ? place.host : `[${place.host}]:${place.port}`;
  const before = [`The host key of ${name} is not known yet.`, `It is ${type} ${fingerprint}.`];
  // This workstation has not seen the host: a hostile jump host could show a key of its own.
  if (reportedBy !== undefined)
    before.push(`That is what ${reportedBy} reports: compare it before you say yes.`);
  return prompter.askYes({
    before,
    message: "Is that the right one? Then it is added to known_hosts.",
    signal,
  });
}

/** Whether to send a Node.js to a jump host that has none that fits. */
export function askRuntime(
  prompter: Prompter,
  { host, name, sentBytes, bytes, fetchBytes, keep }: RuntimeShipment,
  signal: AbortSignal,
): Promise<boolean> {
  const fetched =
    fetchBytes === 0 ? "" : ` It is fetched from the npm registry first (${prettyBytes(fetchBytes)}, once).`;
  return prompter.askYes({
    before: [
      `${host} has no Node.js that fits. ${name} can be sent there: about ${prettyBytes(sentBytes)}, ${prettyBytes(bytes)} there, ` +
        `${keep ? "kept for the next time" : "gone with the session"}.${fetched}`,
    ],
    message: "Send it?",
    signal,
  });
}

/**
 * Answers a host's own questions (a one-time password), one after the other. Each says whose it is, for a hostile host could ask as
 * farside does, for the PIN of the card.
 */
export async function askKeyboardInteractive(
  prompter: Prompter,
  { from, name, instructions, prompts }: KeyboardPrompts,
  { signal }: { signal: AbortSignal },
): Promise<string[]> {
  const answers: string[] = [];
  const said = [name, ...instructions.split("\n")].map((line) => line.trim()).filter((line) => line !== "");
  const warning = `${from} asks, and is given the answer: never the PIN of your card.`;
  const before = [warning, ...said.map((line) => `(${from}) ${line}`)];
  for (const [index, { text, echo }] of prompts.entries()) {
    const message = `(${from}) ${text.trim() || "Answer:"}`;
    const question = { before: index === 0 ? before : [], message, signal };
    answers.push(await (echo ? prompter.askText(question) : prompter.askSecret(question)));
  }
  return answers;
}

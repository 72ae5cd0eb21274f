/**
 * The process behind a virtual card: pcscd with vpcd's reader, and the card in it. `start-card.ts` runs it in mount and
 * network namespaces of its own. It ends, with pcscd, when its stdin ends.
 */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { waitFor } from "../../support/wait-for.ts";
import { type CardCommand, type CardState, serveCardControl } from "./card-control.ts";
import { readCardKeys, type SlotName } from "./card-keys.ts";
import { Pcscd } from "./pcscd.ts";
import { VirtualPivCard } from "./virtual-piv-card.ts";
import { VirtualReader } from "./virtual-reader.ts";

/** Given as JSON on the first argument. */
export interface CardProcessOptions {
  readonly dir: string;
  readonly pin: string;
  readonly tries: number;
  readonly slots: readonly SlotName[];
}

const TOKEN_TIMEOUT_MS = 30_000;
const LOOK_TIMEOUT_MS = 5_000;
/** How soon a card that sits there unseen is seated again. */
const RESEAT_AFTER_MS = 2_500;
/** A card that was taken out just when it was asked for its ATR may never be noticed. */
const NOTICE_TIMEOUT_MS = 2_000;

/** pcscd takes a moment to notice a card: what counts is that a PKCS#11 module shows the token. */
async function tokenIsVisible(): Promise<boolean> {
  // OpenSC can hang for good where the card goes while it looks.
  const options = { timeout: LOOK_TIMEOUT_MS, killSignal: "SIGKILL" } as const;
  const { stdout } = await promisify(execFile)("pkcs11-tool", ["--list-slots"], options).catch(() => ({
    stdout: "",
  }));
  return /token label/.test(stdout);
}

async function main(options: CardProcessOptions): Promise<void> {
  const { dir, pin, tries, slots } = options;
  const card = new VirtualPivCard({ keys: readCardKeys(dir, slots), pin, tries });
  const reader = new VirtualReader(card);
  const pcscd = await Pcscd.start(dir);
  let insertionsBefore = 0;
  let removedAt = performance.now();
  const remove = async (): Promise<void> => {
    await reader.remove();
    removedAt = performance.now();
  };
  // vpcd takes the next card between two looks of pcscd, which then takes it for the last one; where somebody's reset of that one has
  // failed, it calls the next one dead, until that is taken out.
  const lastCardIsGone = (): boolean => {
    const isNoticed = !reader.isSeen || pcscd.insertions > insertionsBefore;
    return !pcscd.hasCard && (isNoticed || performance.now() - removedAt > NOTICE_TIMEOUT_MS);
  };
  const resetCounters = (): void => {
    Object.assign(card.counters, { verifies: 0, signs: {}, apdus: 0 });
  };
  const insert = async (): Promise<void> => {
    if (reader.isPresent) return;
    let seatedAt = performance.now();
    const isVisible = async (): Promise<boolean> => {
      // A card that comes while vpcd still lets go of the last one may sit there unseen: seat it again. Never one that was seen: who uses
      // it meanwhile would see it go.
      if (reader.isPresent && !reader.isSeen && performance.now() - seatedAt > RESEAT_AFTER_MS)
        await remove();
      if (!reader.isPresent) {
        if (!lastCardIsGone()) return false;
        insertionsBefore = pcscd.insertions;
        seatedAt = performance.now();
        await reader.insert().catch(() => undefined);
      }
      return tokenIsVisible();
    };
    await waitFor(isVisible, { what: "the token", withinMs: TOKEN_TIMEOUT_MS, everyMs: 30 });
  };
  const handle = async (command: CardCommand): Promise<CardState> => {
    if (command.do === "insert") await insert();
    else if (command.do === "remove") await remove();
    else if (command.do === "setTries") card.triesLeft = command.tries;
    else if (command.do === "setDelay") card.signDelayMs = command.ms;
    else if (command.do === "resetCounters") resetCounters();
    return {
      ...card.counters,
      tries: card.triesLeft,
      present: reader.isPresent,
      verified: card.isVerified,
    };
  };

  await insert();
  resetCounters();
  const socketPath = join(dir, "card.sock");
  await rm(socketPath, { force: true });
  const server = createServer((socket) => {
    socket.on("error", () => {});
    serveCardControl(socket, socket, handle);
  });
  server.listen(socketPath);
  await once(server, "listening");
  // Whoever started the card holds its stdin: the card goes when they go, even by SIGKILL.
  process.stdin.once("end", () => process.exit(0)).once("close", () => process.exit(0));
  serveCardControl(process.stdin, process.stdout, handle);
  console.log(JSON.stringify({ state: await handle({ do: "state" }) }));
}

main(JSON.parse(process.argv[2] ?? "{}") as CardProcessOptions).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});

/**
 * The process behind a virtual card: pcscd with vpcd's reader, and the card in it. `start-card.ts` runs it in mount and
 * network namespaces of its own. It ends, with pcscd, when its stdin ends.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { type CardCommand, type CardState, serveCardControl } from "./card-control.ts";
import { readCardKeys, type SlotName } from "./card-keys.ts";
import { VirtualPivCard } from "./virtual-piv-card.ts";
import { VirtualReader } from "./virtual-reader.ts";

/** Given as JSON on the first argument. */
export interface CardProcessOptions {
  readonly dir: string;
  readonly pin: string;
  readonly tries: number;
  readonly slots: readonly SlotName[];
}

const START_TIMEOUT_MS = 25_000;
const TOKEN_TIMEOUT_MS = 30_000;
const LOOK_TIMEOUT_MS = 5_000;
/** pcscd looks for a card two or three times a second, where it gets to it. */
const RESEAT_AFTER_MS = 2_500;

async function startPcscd(dir: string): Promise<void> {
  const driver = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";
  if (!existsSync(driver)) throw new Error(`${driver} is missing: apt install vsmartcard-vpcd pcscd`);
  await writeFile(
    join(dir, "conf", "vpcd"),
    `FRIENDLYNAME "Virtual PCD"\nDEVICENAME /dev/null:0x8C7B\nLIBPATH ${driver}\nCHANNELID 0x8C7B\n`,
  );
  const pcscd = spawn("/usr/sbin/pcscd", ["--foreground", "--config", join(dir, "conf")], {
    stdio: ["ignore", 2, 2],
  });
  pcscd.once("exit", (code, signal) => {
    console.error(`pcscd ended: ${signal ?? code}`);
    process.exit(1);
  });
  await once(pcscd, "spawn");
  process.once("exit", () => pcscd.kill("SIGKILL"));
  await until("pcscd listens", START_TIMEOUT_MS, async () => existsSync("/run/pcscd/pcscd.comm"));
}

async function until(what: string, timeoutMs: number, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await delay(30);
  }
}

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
  const resetCounters = (): void => {
    Object.assign(card.counters, { verifies: 0, signs: {}, apdus: 0 });
  };
  const insert = async (): Promise<void> => {
    if (reader.isPresent) return;
    let seatedAt = performance.now();
    await until("the token is visible", TOKEN_TIMEOUT_MS, async () => {
      // A card that comes while vpcd still lets go of the last one may sit there unseen: seat it again. Never one that was seen: who uses
      // it meanwhile would see it go.
      if (reader.isPresent && !reader.isSeen && performance.now() - seatedAt > RESEAT_AFTER_MS)
        await reader.remove();
      if (!reader.isPresent) seatedAt = performance.now();
      await reader.insert().catch(() => undefined);
      return tokenIsVisible();
    });
  };
  const handle = async (command: CardCommand): Promise<CardState> => {
    if (command.do === "insert") await insert();
    else if (command.do === "remove") await reader.remove();
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

  await startPcscd(dir);
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

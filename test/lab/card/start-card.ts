import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { oneFile } from "../one-file.ts";
import { authorizedKeysLine } from "./authorized-keys.ts";
import { CardControl, type CardState } from "./card-control.ts";
import { type CardSlots, makeCardKeys, readCardKeys, type SlotName } from "./card-keys.ts";
import type { CardProcessOptions } from "./card-process.ts";

export interface StartCardOptions {
  /** Its keys, its log and its sockets go there; made where missing, keys in it are used again. The caller removes it. */
  readonly dir: string;
  /** What enters the namespaces the card lives in: `["nsenter", "--target", "123", "--mount", …]`. Default: here. */
  readonly namespaceCommand?: readonly string[];
  /** Default "123456". */
  readonly pin?: string;
  /** PIN tries; default 3. */
  readonly tries?: number;
  /** Default: RSA-2048 in 9a. */
  readonly slots?: CardSlots;
}

/** A card and the PC/SC daemon that it is in. Closing it ends both; so does the end of the process that started it. */
export interface VirtualCard extends AsyncDisposable {
  /** PCSCLITE_CSOCK_NAME for everything that shall see the card. */
  readonly csockName: string;
  readonly pin: string;
  /** authorized_keys lines, in the order of the slots. */
  publicKeys(): Promise<string[]>;
  counters(): Promise<CardState>;
  /** Resolves once a PKCS#11 module sees the token. */
  insert(): Promise<void>;
  remove(): Promise<void>;
  setTries(tries: number): Promise<void>;
  /** How long each signature takes (a touch key). */
  setDelay(ms: number): Promise<void>;
  resetCounters(): Promise<void>;
  /** Stops the card and pcscd with it, as a machine that sleeps does, until they are thawed. */
  freeze(): void;
  thaw(): void;
  close(): Promise<void>;
}

/** One that another process started, and stops. */
export type AttachedCard = Omit<VirtualCard, "freeze" | "thaw">;

const START_TIMEOUT_MS = 40_000;
const CLOSE_TIMEOUT_MS = 3_000;
const defaultSlots: CardSlots = { "9a": "rsa2048" };

/**
 * Puts a virtual PIV card into a reader of its own pcscd, in mount, network and process namespaces of its own: several
 * run side by side, without root too (where user namespaces are allowed). Resolves once the token is visible.
 */
export async function startCard(options: StartCardOptions): Promise<VirtualCard> {
  const { dir, namespaceCommand = [], pin = "123456", tries = 3, slots = defaultSlots } = options;
  const slotNames = Object.keys(slots) as SlotName[];
  await makeCardKeys(dir, slots);
  await Promise.all(["run", "conf"].map((name) => mkdir(join(dir, name), { recursive: true, mode: 0o755 })));
  await writeFile(join(dir, "slots"), slotNames.join(","));
  const program = join(dir, "card-process.cjs");
  await writeFile(program, await oneFile(entryPath));
  const processOptions: CardProcessOptions = { dir, pin, tries, slots: slotNames };
  const [command = "", ...args] = [
    ...namespaceCommand,
    ...["unshare", ...(process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"])],
    ...["--mount", "--net", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", namespaceScript, "card", dir],
    ...[process.execPath, program, JSON.stringify(processOptions)],
  ];
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], detached: true });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log = (log + text).slice(-8192);
  });
  const ended = once(child, "exit").then(() => {});
  const timer = setTimeout(() => child.kill("SIGKILL"), START_TIMEOUT_MS);
  const [first] = await Promise.race([once(child.stdout, "data"), ended.then(() => [undefined])]);
  clearTimeout(timer);
  if (first === undefined) throw new Error(`the virtual card did not start: ${log.trim()}`);

  const control = new CardControl(child.stdout, child.stdin);
  const close = async (): Promise<void> => {
    child.stdin.end();
    const timer = setTimeout(() => child.kill("SIGKILL"), CLOSE_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  };
  // Its process group: the namespaces' first process, the card and pcscd.
  const signal = (name: NodeJS.Signals) => () => void process.kill(-(child.pid ?? 0), name);
  return {
    ...makeCommands(control, dir, slotNames, pin),
    ...{ freeze: signal("SIGSTOP"), thaw: signal("SIGCONT"), close, [Symbol.asyncDispose]: close },
  };
}

/** The same commands to a card that another process has started with `dir`. Closing it leaves the card alone. */
export async function attachCard(dir: string, pin = "123456"): Promise<AttachedCard> {
  const socket = connect(join(dir, "card.sock"));
  await once(socket, "connect");
  const control = new CardControl(socket, socket);
  const slotNames = (await readFile(join(dir, "slots"), "utf8").catch(() => "9a")).split(",") as SlotName[];
  const close = async (): Promise<void> => {
    socket.destroy();
  };
  return { ...makeCommands(control, dir, slotNames, pin), close, [Symbol.asyncDispose]: close };
}

function makeCommands(control: CardControl, dir: string, slotNames: readonly SlotName[], pin: string) {
  return {
    csockName: join(dir, "run", "pcscd.comm"),
    pin,
    publicKeys: async () => readCardKeys(dir, slotNames).map(authorizedKeysLine),
    counters: () => control.send({ do: "state" }),
    insert: async () => void (await control.send({ do: "insert" })),
    remove: async () => void (await control.send({ do: "remove" })),
    setTries: async (tries: number) => void (await control.send({ do: "setTries", tries })),
    setDelay: async (ms: number) => void (await control.send({ do: "setDelay", ms })),
    resetCounters: async () => void (await control.send({ do: "resetCounters" })),
  };
}

const entryPath = fileURLToPath(new URL("./card-process.ts", import.meta.url));

/** pcscd knows its socket's folder at build time only, hence the bind mount over it. */
const namespaceScript = [
  'dir="$1"; shift',
  "[ -d /run/pcscd ] || mkdir -p /run/pcscd 2>/dev/null || { mount -t tmpfs none /run && mkdir /run/pcscd; }",
  'rm -f "$dir"/run/*',
  'mount --bind "$dir/run" /run/pcscd && ip link set lo up || exit 1',
  // vpcd writes a message's length and its body apart: with Nagle's algorithm and delayed ACKs each APDU takes 40 ms.
  "ip route change table local local 127.0.0.1 dev lo src 127.0.0.1 quickack 1",
  'exec "$@"',
].join("\n");

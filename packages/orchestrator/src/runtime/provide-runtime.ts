import { rm } from "node:fs/promises";
import { abortable, CodedError, deadline, harmless } from "@farside/protocol";
import type { ExecStream } from "@farside/ssh";
import { type HostStatus, HostStatuses } from "./host-statuses.ts";
import { type PackedFile, packRuntime } from "./pack-runtime.ts";
import { parseFacts, type RuntimeFacts, unfit, whyUnfit } from "./runtime-facts.ts";
import { factsOrder, KEPT_ORDER, storeOrder } from "./runtime-scripts.ts";
import type { RuntimeOffer, RuntimeOffers } from "./runtime-source.ts";
import { sendFile } from "./send-file.ts";

/** How long the host may take to look at itself, and to make room and unpack. */
const ANSWER_TIMEOUT_MS = 60_000;

/** What is about to be sent, for whoever is asked or told. */
export interface RuntimeShipment {
  /** `user@host`. */
  readonly host: string;
  /** `Node.js 22.23.3`, or a file's path. */
  readonly name: string;
  /** SHA-256 of it, hex. */
  readonly digest: string;
  /** What goes over the connection; a guess until it is packed. */
  readonly sentBytes: number;
  /** What it takes there. */
  readonly bytes: number;
  /** What is fetched from the npm registry first. */
  readonly fetchBytes: number;
  readonly keep: boolean;
}

export interface RuntimeProgress {
  readonly step: "fetching" | "packing" | "sending";
  readonly shipment: RuntimeShipment;
  /** Bytes that were sent so far. */
  readonly sent: number;
}

/** How a jump host without a fitting Node.js gets one. */
export interface RuntimeOptions {
  /** `upload`: also where the host has a Node.js of its own. */
  readonly mode: "auto" | "upload";
  /** Leave it there, to be taken next time. */
  readonly keep: boolean;
  readonly offers: () => Promise<RuntimeOffers>;
  /** See `runtimeCache`. */
  readonly cache: string;
  /** Asks before anything is fetched or sent; default: goes on. */
  readonly ask?: ((shipment: RuntimeShipment, signal: AbortSignal) => Promise<boolean>) | undefined;
  /** Called before anything is fetched. */
  readonly onFetching?: ((shipment: RuntimeShipment) => void) | undefined;
  /** Called when the folder is known and before the first byte is sent. */
  readonly onSending?: ((shipment: RuntimeShipment, folder: string) => void) | undefined;
  readonly onProgress?: ((progress: RuntimeProgress) => void) | undefined;
  /** Called before the host is told to make anything: from then on something may have to be removed. */
  readonly onMaking?: (() => Promise<void>) | undefined;
  /** Runs what takes as long as a network takes, or a person. */
  readonly whileWaiting: <T>(wait: () => Promise<T>) => Promise<T>;
}

export interface ProvideRuntimeOptions {
  readonly runtime: RuntimeOptions;
  /** Borrowed; its bootstrap waits for orders. */
  readonly channel: ExecStream;
  readonly nonce: string;
  /** What came behind the status that said that there is no Node.js. */
  readonly rest: Buffer;
  readonly host: string;
  /** Why the host has none that fits: told where the operator wants nothing sent. */
  readonly refusal: CodedError;
  readonly signal: AbortSignal;
}

/**
 * Makes the waiting bootstrap become a Node.js from this workstation, or one that was kept there: resolves when it runs and waits
 * for the bundle, with how many bytes were sent, and what was read behind its last status. Rejects with `agent.unsupported-host`, `agent.no-runtime`,
 * `agent.digest-mismatch`, `agent.start-failed`, `timeout`, `config.invalid` or the signal's reason.
 */
export async function provideRuntime(
  options: ProvideRuntimeOptions,
): Promise<{ sentBytes: number; rest: Buffer }> {
  const { runtime, channel, nonce, host, signal } = options;
  const statuses = new HostStatuses(channel, nonce, options.rest);
  const offers = await runtime.offers();
  const digests = Object.entries(offers).map(([machine, { digest }]) => [machine, digest]);
  channel.write(`${factsOrder(Object.fromEntries(digests))}\n`);
  const facts = parseFacts((await answer(statuses, "facts", options)).detail);
  if (facts.kept !== undefined) {
    channel.write(`kept=${facts.kept}; ${KEPT_ORDER}\n`);
    const { rest } = await answer(statuses, "stored", options);
    return { sentBytes: 0, rest };
  }
  const offer = offers[facts.machine] ?? Object.values(offers)[0];
  const why = whyUnfit(facts, offers[facts.machine]?.needs ?? (isChosen(offers) ? offer?.needs : undefined));
  if (offer === undefined || why !== undefined) throw unfit(host, facts, why ?? "there is none");
  return runtime.whileWaiting(async () => {
    const asked = shipmentOf(offer, facts, options);
    // Who says --runtime upload has said it.
    if (runtime.mode === "auto" && runtime.ask !== undefined && !(await runtime.ask(asked, signal)))
      throw options.refusal;
    const file = await openFile(offer, facts, asked, options);
    const shipment = { ...asked, sentBytes: file.bytes, fetchBytes: 0 };
    await runtime.onMaking?.();
    channel.write(
      `${storeOrder({ digest: offer.digest, bytes: offer.bytes, sentBytes: file.bytes, isCompressed: facts.hasGzip, keep: runtime.keep })}\n`,
    );
    const { detail: folder } = await answer(statuses, "ready", options);
    runtime.onSending?.(shipment, folder);
    const rest = await send(file, shipment, statuses, options);
    return { sentBytes: file.bytes, rest };
  });
}

/** Whether the operator chose the one file: then its machine is compared, not looked for. */
function isChosen(offers: RuntimeOffers): boolean {
  return Object.keys(offers).length === 1;
}

function shipmentOf(
  offer: RuntimeOffer,
  { hasGzip }: RuntimeFacts,
  { host, runtime }: ProvideRuntimeOptions,
): RuntimeShipment {
  const { name, digest, bytes, compressedBytes, fetchBytes } = offer;
  return {
    host,
    name,
    digest,
    bytes,
    sentBytes: hasGzip ? compressedBytes : bytes,
    fetchBytes,
    keep: runtime.keep,
  };
}

async function openFile(
  offer: RuntimeOffer,
  { hasGzip }: RuntimeFacts,
  shipment: RuntimeShipment,
  { runtime, signal }: ProvideRuntimeOptions,
): Promise<PackedFile> {
  const tell = (step: RuntimeProgress["step"]) => () => runtime.onProgress?.({ step, shipment, sent: 0 });
  const onFetch = () => {
    runtime.onFetching?.(shipment);
    tell("fetching")();
  };
  const path = await offer.open({ onFetch, signal });
  if (!hasGzip) return { path, bytes: offer.bytes };
  return packRuntime(path, offer.digest, { cache: runtime.cache, onPack: tell("packing"), signal });
}

/** Sends the file while listening for what the host says to it: a disk that is full all the same need not take all of it. */
async function send(
  file: PackedFile,
  shipment: RuntimeShipment,
  statuses: HostStatuses,
  options: ProvideRuntimeOptions,
): Promise<Buffer> {
  const { channel, host, runtime } = options;
  const over = new AbortController();
  const stop = () => over.abort(options.signal.reason);
  options.signal.addEventListener("abort", stop, { once: true });
  const told = statuses.next(options.signal);
  // It may come before, and instead of, the end of the sending.
  told.then(stop, stop);
  try {
    const sending = sendFile({
      ...{ path: file.path, bytes: file.bytes, channel, host, signal: over.signal },
      onProgress: (sent) => runtime.onProgress?.({ step: "sending", shipment, sent }),
    });
    // What the host said tells more than that it stopped reading.
    await sending.catch(async (error: unknown) => {
      if (!over.signal.aborted) throw error;
    });
    const limit = deadline(ANSWER_TIMEOUT_MS, late(host), { signal: options.signal });
    try {
      return (await expected(abortable(told, limit.signal), "stored", options)).rest;
    } catch (error) {
      if (error instanceof CodedError && error.code === "agent.digest-mismatch" && file.path.endsWith(".gz"))
        await rm(file.path, { force: true });
      throw error;
    } finally {
      limit.release();
    }
  } finally {
    options.signal.removeEventListener("abort", stop);
  }
}

async function answer(
  statuses: HostStatuses,
  wanted: string,
  options: ProvideRuntimeOptions,
): Promise<HostStatus> {
  const limit = deadline(ANSWER_TIMEOUT_MS, late(options.host), { signal: options.signal });
  try {
    return await expected(statuses.next(limit.signal), wanted, options);
  } finally {
    limit.release();
  }
}

/** The status that was waited for; any other is its error. */
async function expected(
  told: Promise<HostStatus>,
  wanted: string,
  { host, channel, signal }: ProvideRuntimeOptions,
): Promise<HostStatus> {
  const printed = () => {
    const text = channel.stderr.text().trim();
    return text === "" ? "" : `; it printed: ${harmless(text, 300)}`;
  };
  const failed = (what: string, hint?: string) =>
    new CodedError("agent.start-failed", `starting the agent on ${host}: ${what}`, { leg: "jump", hint });
  let status: HostStatus;
  try {
    status = await told;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof CodedError && error.code !== "agent.gone") throw error;
    throw failed(`the login ended while a Node.js was sent to it${printed()}`);
  }
  const { kind, detail } = status;
  if (kind === wanted) return status;
  if (kind === "nowhere") {
    const places = detail.split(",").map((place) => place.replace("=", ": "));
    throw failed(
      `there is no folder that can take a Node.js and run it (${harmless(places.join(", "), 600)})`,
      "Make room, or set XDG_RUNTIME_DIR or TMPDIR of the login to a folder that may hold programs.",
    );
  }
  if (kind === "damaged") {
    throw new CodedError(
      "agent.digest-mismatch",
      `starting the agent on ${host}: the Node.js that was sent arrived altered or not whole, and was not run`,
      {
        leg: "jump",
        hint: "Start again; if it stays so, the disk there is full, or something on the way changes what is sent.",
      },
    );
  }
  if (kind === "broken")
    throw failed(
      `the Node.js that was sent does not run there: ${harmless(detail, 300)}`,
      "Install a Node.js there.",
    );
  throw failed(`it said ${harmless(status.status, 80)}${printed()}`);
}

function late(host: string): string {
  return `sending a Node.js to ${host}: the host did not answer in ${ANSWER_TIMEOUT_MS / 1000} s`;
}

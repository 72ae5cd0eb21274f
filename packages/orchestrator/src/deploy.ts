import {
  abortable,
  FramedStream,
  harmless,
  isCodedError,
  type MessageStream,
  PreambleScanner,
} from "@farside/protocol";
import type { ExecStream, Hop } from "@farside/ssh";
import { type Bootstrap, bootstrap, shellMark } from "./bootstrap.ts";
import { webSocketOver } from "./reattach/web-socket-over.ts";
import { HostStatuses } from "./runtime/host-statuses.ts";
import { provideRuntime, type RuntimeOptions } from "./runtime/provide-runtime.ts";
import { diagnoseSilence } from "./silent-login.ts";
import {
  commandRefused,
  exitText,
  noPreamble,
  refusal,
  SHOWN_OUTPUT,
  type StartPlace,
  startFailed,
  stdinEaten,
} from "./start-failure.ts";

/** Of what the login printed, how much the log shows. */
const LOGGED_OUTPUT = 4096;
/** A login that has not come to its command by then is asked why; see `diagnoseSilence`. */
const SILENCE_MS = 2_500;
const FOLLOW_MS = 1_000;
/** What stands before the status of a host that has no Node.js, and may be sent one. */
const WAITING = "waiting:";

/** The agent as one file. */
export interface AgentBundle {
  /** Brotli-compressed. */
  readonly compressed: Uint8Array;
  /** SHA-256 of `compressed`, hex. */
  readonly digest: string;
}

export interface DeployOptions {
  /** Borrowed. */
  readonly hop: Pick<Hop, "exec">;
  /** `user@host`, for messages. */
  readonly host: string;
  readonly bundle: AgentBundle;
  /** What the bundle is to do, where it has several jobs; see `jobOf` of the agent. */
  readonly job?: Readonly<Record<string, string>> | undefined;
  /** Frames that the agent finds behind its bundle; see `encodeOpening`. */
  readonly opening?: Uint8Array | undefined;
  /** Marks the processes; default: a new one. */
  readonly nonce?: string | undefined;
  /** Path or name of the Node.js to use there; default: search. */
  readonly remoteNode?: string | undefined;
  /** Sends a Node.js where the host has none that fits. Default: such a host is refused. */
  readonly runtime?: RuntimeOptions | undefined;
  /** The agent's log: chunks of its stderr. */
  readonly onLog?: ((chunk: Buffer) => void) | undefined;
  /** Called right before the command is sent: from then on something may have to be removed. */
  readonly onStart?: ((nonce: string) => Promise<void>) | undefined;
  /** Called where the host ran nothing of it after all: there is nothing to be removed. */
  readonly onNotStarted?: ((nonce: string) => Promise<void>) | undefined;
  /** Hears how far it has come, for whoever gives up waiting. */
  readonly onStage?: ((stage: string) => void) | undefined;
  /** The start's deadline. Its reason is what the deploy rejects with; the channel is closed. */
  readonly signal: AbortSignal;
}

/** An agent that has said that it runs; nothing of it is validated yet. */
export interface Deployment {
  /** Marks every process of this deploy; see `RUN_VARIABLE`. */
  readonly nonce: string;
  /** The carrier of the control channel; whoever closes it ends the agent. */
  readonly stream: MessageStream;
  /** Resolves when the agent has ended, or its channel is closed. */
  readonly ended: Promise<void>;
  /** What the login shell printed before the agent; harmless. */
  readonly noise: string;
  /** Bytes that were sent. */
  readonly uploadBytes: number;
}

/**
 * Starts the agent in memory: one exec channel, on which the bundle is sent right behind the command and which becomes
 * the control channel. A login that does not come to the command is asked why by a second one; a host without a Node.js is sent one
 * over the same channel where `runtime` says so. Rejects with `agent.command-refused`, `agent.no-runtime`, `agent.runtime-too-old`,
 * `agent.unsupported-host`, `agent.digest-mismatch`, `agent.start-failed`,
 * `protocol.no-preamble`, what `hop.exec` rejects with, or the signal's reason.
 */
export async function deploy(options: DeployOptions): Promise<Deployment> {
  const { hop, bundle, remoteNode, opening, signal, host } = options;
  const withoutNode = options.runtime && (options.runtime.mode === "upload" ? "order" : "wait");
  const argument = options.job && Buffer.from(JSON.stringify(options.job)).toString("hex");
  const boot = bootstrap({ ...bundle, remoteNode, withoutNode, argument, opening, nonce: options.nonce });
  await options.onStart?.(boot.nonce);
  options.onStage?.("its login has not come to the command yet");
  let channel: ExecStream;
  try {
    channel = await hop.exec(boot.command, { signal, ...(options.onLog && { onStderr: options.onLog }) });
  } catch (error) {
    if (isCodedError(error) && error.code === "hop.channel-refused") await options.onNotStarted?.(boot.nonce);
    throw error;
  }
  channel.on("error", () => {});
  channel.write(boot.upload);
  const output = new LoginOutput(boot);
  const place: StartPlace = { host, remoteNode, stderr: channel.stderr };
  try {
    const first = await readPreamble({ ...options, channel, output, place });
    const { status, rest, uploadBytes } = await withRuntime(first, { ...options, channel, boot, place });
    if (status !== "agent" && status !== "bridge") throw refusal(status, place);
    options.onStage?.("its agent has not said hello yet");
    return {
      nonce: boot.nonce,
      stream: status === "agent" ? framed(channel, rest) : await bridged(channel, rest, signal),
      ended: channel.ended.then(() => {}),
      noise: harmless(output.noise, SHOWN_OUTPUT),
      uploadBytes,
    };
  } catch (error) {
    channel.destroy();
    if (isCodedError(error) && error.code === "agent.command-refused")
      await options.onNotStarted?.(boot.nonce);
    throw error;
  } finally {
    logNoise(output.noise, options.onLog);
  }
}

function framed(channel: ExecStream, rest: Buffer): MessageStream {
  return new FramedStream(channel, { initial: rest });
}

/** Behind a bridge, the channel ends at the agent's control socket. */
async function bridged(channel: ExecStream, rest: Buffer, signal: AbortSignal): Promise<MessageStream> {
  if (rest.length > 0) channel.unshift(rest);
  return webSocketOver(channel, signal);
}

/** `first` where it is final; else what the bundle says once it runs on a Node.js that was sent. */
async function withRuntime(
  first: { readonly status: string; readonly rest: Buffer },
  { runtime, channel, boot, place, host, signal, onStage }: DeployOptions & BootedChannel,
): Promise<{ status: string; rest: Buffer; uploadBytes: number }> {
  const uploadBytes = boot.upload.length;
  if (runtime === undefined || !first.status.startsWith(WAITING)) return { ...first, uploadBytes };
  onStage?.("a Node.js is being sent to it");
  const provided = await provideRuntime({
    ...{ runtime, channel, nonce: boot.nonce, rest: first.rest, host, signal },
    refusal: refusal(first.status.slice(WAITING.length), place),
  });
  channel.write(boot.upload);
  const { status, rest } = await new HostStatuses(channel, boot.nonce, provided.rest)
    .next(signal)
    .catch(async (error) => {
      signal.throwIfAborted();
      if (!isCodedError(error) || error.code !== "agent.gone") throw error;
      const { code, signal: killedBy } = await abortable(channel.exit, signal);
      throw startFailed(place, `the Node.js that was sent ${exitText(code, killedBy)}`);
    });
  return { status, rest, uploadBytes: 2 * uploadBytes + provided.sentBytes };
}

interface BootedChannel {
  readonly channel: ExecStream;
  readonly boot: Bootstrap;
  readonly place: StartPlace;
}

/** What a login prints up to the agent's preamble. */
class LoginOutput {
  readonly scanner: PreambleScanner;
  readonly #mark: string;
  #hasRun = false;
  #preambleNoise: Buffer | undefined;

  constructor({ nonce }: Bootstrap) {
    this.scanner = new PreambleScanner(nonce);
    this.#mark = shellMark(nonce).trimEnd();
  }

  /** Whether the login has come to our command. */
  get hasRun(): boolean {
    return this.#hasRun;
  }

  /** What it printed besides, as far as it is kept; hostile. */
  get noise(): string {
    const text = (this.#preambleNoise ?? this.scanner.seen).toString();
    return text.replace(new RegExp(`${this.#mark}\\r?\\n?`), "");
  }

  /** Throws `protocol.no-preamble` where there can be no preamble any more. */
  push(chunk: Uint8Array): { status: string; rest: Buffer } | undefined {
    const preamble = this.scanner.push(chunk);
    this.#preambleNoise = preamble?.noise;
    this.#hasRun ||= (preamble?.noise ?? this.scanner.seen).includes(this.#mark);
    return preamble;
  }
}

interface PreambleWait extends DeployOptions {
  readonly channel: ExecStream;
  readonly output: LoginOutput;
  readonly place: StartPlace;
}

async function readPreamble({ channel, output, place, hop, signal, onStage }: PreambleWait) {
  const stop = () => channel.destroy();
  signal.addEventListener("abort", stop, { once: true });
  const heard = new AbortController();
  let diagnosis: unknown;
  const asking = diagnoseSilence({
    ...{ hop, afterMs: SILENCE_MS, followMs: FOLLOW_MS, signal: heard.signal },
  }).then((silence) => {
    if (silence.kind === "unknown") return;
    if (silence.kind === "runs") diagnosis = stdinEaten(place);
    else diagnosis = commandRefused({ ...place, stderr: silence.channel.stderr }, "waits", silence.noise);
    channel.destroy();
  });
  asking.catch(() => {});
  try {
    for await (const chunk of channel.iterator({ destroyOnReturn: false })) {
      const preamble = output.push(chunk);
      if (preamble !== undefined) return preamble;
      if (!output.hasRun) continue;
      if (!heard.signal.aborted) onStage?.("no Node.js there has answered yet");
      heard.abort();
    }
    if (diagnosis !== undefined) throw diagnosis;
    const { code, signal: killedBy } = await abortable(channel.exit, signal);
    const how = exitText(code, killedBy);
    if (!output.hasRun) throw commandRefused(place, how, output.noise);
    throw code === 0
      ? noPreamble(place, output.noise)
      : startFailed(place, `the command ${how}`, output.noise);
  } catch (error) {
    signal.throwIfAborted();
    if (diagnosis !== undefined) throw diagnosis;
    if (isCodedError(error)) throw error;
    throw startFailed(place, `its channel failed: ${harmless(String(error), 200)}`, output.noise);
  } finally {
    heard.abort();
    signal.removeEventListener("abort", stop);
  }
}

/** For whoever debugs: the lines that were skipped, as one of the log. */
function logNoise(noise: string, onLog: DeployOptions["onLog"]): void {
  if (noise === "") return;
  onLog?.(Buffer.from(`\nskipped what the login printed: ${harmless(noise, LOGGED_OUTPUT)}\n`));
}

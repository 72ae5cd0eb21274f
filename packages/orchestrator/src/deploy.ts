import {
  abortable,
  CodedError,
  FramedStream,
  harmless,
  isCodedError,
  PreambleScanner,
} from "@farside/protocol";
import type { ExecStream, Hop } from "@farside/ssh";
import { type Bootstrap, bootstrap, MIN_AGENT_NODE } from "./bootstrap.ts";

/** Of what a failed start printed, how much an error shows. */
const SHOWN_OUTPUT = 400;

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
  /** Path or name of the Node.js to use there; default: search. */
  readonly remoteNode?: string | undefined;
  /** The agent's log: chunks of its stderr. */
  readonly onLog?: ((chunk: Buffer) => void) | undefined;
  /** Called right before the command is sent: from then on something may have to be removed. */
  readonly onStart?: ((nonce: string) => Promise<void>) | undefined;
  /** The start's deadline. Its reason is what the deploy rejects with; the channel is closed. */
  readonly signal: AbortSignal;
}

/** An agent that has said that it runs; nothing of it is validated yet. */
export interface Deployment {
  /** Marks every process of this deploy; see `RUN_VARIABLE`. */
  readonly nonce: string;
  /** The carrier of the control channel; whoever closes it ends the agent. */
  readonly stream: FramedStream;
  /** Resolves when the agent's channel is closed. */
  readonly ended: Promise<void>;
  /** What the login shell printed before the agent; harmless. */
  readonly noise: string;
  /** Bytes that were sent. */
  readonly uploadBytes: number;
}

/**
 * Starts the agent in memory: one exec channel, on which the bundle is sent right behind the command and which becomes
 * the control channel. Rejects with `agent.no-runtime`, `agent.runtime-too-old`, `agent.digest-mismatch`,
 * `agent.start-failed`, `protocol.no-preamble`, what `hop.exec` rejects with, or the signal's reason.
 */
export async function deploy(options: DeployOptions): Promise<Deployment> {
  const { hop, bundle, remoteNode, signal, host } = options;
  const boot = bootstrap({ ...bundle, remoteNode });
  await options.onStart?.(boot.nonce);
  const channel = await hop.exec(boot.command, { signal, ...(options.onLog && { onStderr: options.onLog }) });
  channel.on("error", () => {});
  channel.write(boot.upload);
  try {
    const { status, noise, rest } = await readPreamble(channel, boot, host, signal);
    if (status !== "agent") throw refusal(status, host, channel);
    return {
      nonce: boot.nonce,
      stream: new FramedStream(channel, { initial: rest }),
      ended: channel.exit.then(() => {}),
      noise: harmless(noise.toString(), SHOWN_OUTPUT),
      uploadBytes: boot.upload.length,
    };
  } catch (error) {
    channel.destroy();
    throw error;
  }
}

async function readPreamble(channel: ExecStream, boot: Bootstrap, host: string, signal: AbortSignal) {
  const scanner = new PreambleScanner(boot.nonce);
  const stop = () => channel.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const chunk of channel.iterator({ destroyOnReturn: false })) {
      const preamble = scanner.push(chunk);
      if (preamble !== undefined) return preamble;
    }
    const { code, signal: killedBy } = await abortable(channel.exit, signal);
    if (code === 0) scanner.end();
    throw startFailed(host, exitText(code, killedBy), channel, shownNoise(scanner));
  } catch (error) {
    signal.throwIfAborted();
    if (isCodedError(error)) throw error;
    throw startFailed(host, `its channel failed: ${harmless(String(error), 200)}`, channel);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** What the scanner has seen; only its error tells. */
function shownNoise(scanner: PreambleScanner): string | undefined {
  try {
    return scanner.end();
  } catch (error) {
    return isCodedError(error) ? error.hint : undefined;
  }
}

function exitText(code: number | null, killedBy: string | null): string {
  if (code !== null) return `the command exited with ${code}`;
  return killedBy === null ? "its channel was closed" : `the command was ended by ${harmless(killedBy, 20)}`;
}

function startFailed(host: string, what: string, channel: ExecStream, hint?: string): CodedError {
  const stderr = channel.stderr.text().trim();
  const printed = stderr === "" ? "" : `; it printed: ${harmless(stderr, SHOWN_OUTPUT)}`;
  return new CodedError("agent.start-failed", `starting the agent on ${host}: ${what}${printed}`, {
    leg: "jump",
    hint: stderr === "" ? hint : undefined,
  });
}

/** The error that a preamble other than `agent` stands for. `status` is harmless but hostile. */
function refusal(status: string, host: string, channel: ExecStream): CodedError {
  const at = status.indexOf(":");
  const [kind, detail] = at < 0 ? [status, ""] : [status.slice(0, at), status.slice(at + 1)];
  switch (kind) {
    case "no-node":
      return new CodedError("agent.no-runtime", `starting the agent on ${host}: no Node.js was found there`, {
        leg: "jump",
        hint: `Install Node.js ${MIN_AGENT_NODE} or newer on it, or say where it is with --remote-node PATH.`,
      });
    case "node-too-old":
      return new CodedError(
        "agent.runtime-too-old",
        `starting the agent on ${host}: it needs Node.js ${MIN_AGENT_NODE} or newer, found was ${foundVersions(detail)}`,
        { leg: "jump", hint: "Install a newer Node.js on it, or say where one is with --remote-node PATH." },
      );
    case "digest-mismatch":
      return new CodedError(
        "agent.digest-mismatch",
        `starting the agent on ${host}: its bundle arrived altered and was not run`,
        { leg: "jump", hint: "Something between here and there changes the data: do not trust that host." },
      );
    case "loader-failed":
      return startFailed(host, `its loader failed: ${detail}`, channel);
    default:
      return startFailed(host, `it said ${harmless(status, 80)}`, channel);
  }
}

/** `16.20.2=/usr/bin/node,…` for people. */
function foundVersions(list: string): string {
  const shown = [...new Set(list.split(","))].slice(0, 5).map((entry) => {
    const at = entry.indexOf("=");
    return at < 0 ? entry : `${entry.slice(0, at)} (${entry.slice(at + 1)})`;
  });
  return harmless(shown.join(", "), SHOWN_OUTPUT);
}

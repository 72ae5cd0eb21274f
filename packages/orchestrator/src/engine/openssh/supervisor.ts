import type { Duplex } from "node:stream";
import { harmless } from "@farside/protocol";
import type { ExecStream, Hop } from "@farside/ssh";
import { within } from "../../end-agent.ts";
import { hearSupervisor } from "./hear-supervisor.ts";
import { type HostReport, readHostReport } from "./host-report.ts";
import { KeptText } from "./kept-text.ts";
import { SupervisorLines } from "./supervisor-lines.ts";
import { type SshStart, sshLine, supervisorStart } from "./supervisor-script.ts";

/** Heartbeats within one lease: two may be lost. */
const HEARTBEATS_PER_LEASE = 3;
const MAX_NOISE = 1024;
/** How long the supervisor may take to end ssh and whatever else is its session's. */
const END_TIMEOUT_MS = 5_000;

export interface SupervisorOptions {
  /** Borrowed. */
  readonly hop: Pick<Hop, "exec">;
  /** `user@host`, for messages. */
  readonly host: string;
  /** Marks every process; see `RUN_VARIABLE`. */
  readonly nonce: string;
  /** Serves each connection to the forwarded agent. */
  readonly agent: (connection: Duplex) => boolean;
  /** Hears each line that ssh prints, and what the login printed before it, harmless. */
  readonly onStderr: (line: string) => void;
  /** The start's deadline. */
  readonly signal: AbortSignal;
}

/** How the ssh of the jump host ended. */
export interface SshExit {
  /** Undefined where nobody knows: the supervisor is gone. */
  readonly status: number | undefined;
}

/**
 * The shell on the jump host that runs its ssh and ends it: with the connection, its stdin, the lease, or `close`. What it
 * says is hostile. Whoever starts it closes it.
 */
export class Supervisor {
  readonly report: HostReport;
  /** What the login printed before it; harmless. */
  readonly noise: string;
  /** Resolves when ssh has every listener open; never rejects. */
  readonly listening: Promise<void>;
  /** Resolves when ssh, or the supervisor itself, has ended; never rejects. */
  readonly exit: Promise<SshExit>;
  /** Resolves with the path of a socket that could not be listened on because something is there. */
  readonly taken: Promise<string>;
  readonly #channel: ExecStream;
  readonly #stderr: KeptText;
  readonly #started: Promise<void>;
  readonly #ended: Promise<void>;
  #heartbeat: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  /**
   * Starts it and hears what is there. Rejects with `agent.command-refused`, `agent.start-failed`, what `hop.exec` rejects
   * with, or the signal's reason.
   */
  static async start(options: SupervisorOptions): Promise<Supervisor> {
    const { hop, host, nonce, agent, signal } = options;
    const { command, input } = supervisorStart(nonce);
    const stderr = new KeptText(options.onStderr);
    const channel = await hop.exec(command, { signal, agent, onStderr: (chunk) => stderr.push(chunk) });
    channel.on("error", () => {});
    channel.write(input);
    const lines = new SupervisorLines(nonce);
    try {
      const place = { host, remoteNode: undefined, stderr: channel.stderr };
      await hearSupervisor(lines, { channel, hop, signal, place });
      return new Supervisor(channel, lines, stderr);
    } catch (error) {
      channel.destroy();
      throw error;
    } finally {
      const noise = shownNoise(lines);
      if (noise !== "") options.onStderr(`skipped what the login printed: ${noise}`);
    }
  }

  private constructor(channel: ExecStream, lines: SupervisorLines, stderr: KeptText) {
    this.#channel = channel;
    this.#stderr = stderr;
    this.report = readHostReport(lines.take());
    this.noise = shownNoise(lines);
    let said: (line: string) => void = () => {};
    const saying = (word: string) =>
      new Promise<string>((resolve) => {
        const before = said;
        said = (line) => {
          before(line);
          if (line === word || line.startsWith(`${word} `)) resolve(line.slice(word.length + 1));
        };
      });
    this.#started = saying("started").then(() => {});
    this.listening = saying("listening").then(() => {});
    this.taken = saying("taken");
    const status = saying("exit").then((text) => ({
      status: /^\d{1,3}$/.test(text) ? Number(text) : undefined,
    }));
    const ended = saying("end");
    const gone = read(channel, lines, (line) => said(line));
    this.exit = Promise.race([status, gone.then(() => ({ status: undefined }))]);
    this.#ended = Promise.race([ended, gone]).then(() => {});
  }

  /** What ssh printed last, raw. */
  get stderr(): string {
    return this.#stderr.text;
  }

  /** Starts ssh, and beats for it as soon as that is heard. Once. */
  begin(start: SshStart): void {
    // What stands there so far is of the login's rc files.
    this.#stderr.clear();
    this.#channel.write(sshLine(start));
    const beat = () => this.#channel.write("beat\n");
    void this.#started.then(() => {
      if (this.#closing !== undefined) return;
      beat();
      this.#heartbeat = setInterval(beat, (start.leaseS * 1000) / HEARTBEATS_PER_LEASE);
      void this.#ended.then(() => clearInterval(this.#heartbeat));
    });
  }

  /** Sends a signal (`TERM`) to a process group of the session. */
  signalGroup(signal: string, group: number): void {
    if (!this.#channel.destroyed) this.#channel.write(`kill ${signal} ${group}\n`);
  }

  /** Ends ssh and whatever else the session has started there. Never rejects, takes some seconds at most. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#heartbeat);
    if (!this.#channel.destroyed) this.#channel.end("stop\n");
    await within(END_TIMEOUT_MS, this.#ended);
    this.#channel.destroy();
  }
}

function shownNoise(lines: SupervisorLines): string {
  return harmless(lines.noise.trimEnd(), MAX_NOISE);
}

async function read(
  channel: ExecStream,
  lines: SupervisorLines,
  onLine: (line: string) => void,
): Promise<void> {
  try {
    for await (const chunk of channel.iterator({ destroyOnReturn: false })) {
      lines.push(chunk as Buffer);
      for (const line of lines.take()) onLine(line);
    }
  } catch {
    // A channel that breaks has ended; why is the connection's to tell.
  }
  await channel.exit;
}

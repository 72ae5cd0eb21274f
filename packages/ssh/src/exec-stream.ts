import type { ClientChannel } from "ssh2";
import { ChannelStream } from "./channel-stream.ts";

const maxStderrBytes = 32 * 1024;
/** For a command that has closed its output and goes on. */
const EXIT_STATUS_WAIT_MS = 2_000;

export interface ExitStatus {
  /** Null where a signal ended the command, or the connection ended first. */
  readonly code: number | null;
  /** `SIGTERM` …, or null. */
  readonly signal: string | null;
}

/** What a command wrote to stderr, as far as it is kept. Raw: make it printable before it is shown. */
export interface BoundedText {
  /** The first 32 KiB. */
  text(): string;
  readonly isTruncated: boolean;
}

/** Hears each chunk of stderr; no more is read until what it returns has settled. */
export type OnStderr = (chunk: Buffer) => void | Promise<void>;

/**
 * A running command: the Duplex is its stdin and stdout, `end()` is EOF on stdin, `destroy()` closes the channel (sshd
 * then sends no signal: a command should end on EOF).
 */
export class ExecStream extends ChannelStream {
  readonly stderr: BoundedText;
  /** Resolves when the channel is closed; never rejects. */
  readonly exit: Promise<ExitStatus>;
  /** Resolves when the command itself has ended, though what it left behind may keep the channel open; never rejects. */
  readonly ended: Promise<ExitStatus>;
  #resolveExit: (status: ExitStatus) => void = () => {};
  #resolveEnded: (status: ExitStatus) => void = () => {};
  #status: ExitStatus = { code: null, signal: null };

  constructor(channel: ClientChannel, onStderr?: OnStderr) {
    super(channel);
    this.stderr = keepFirst(channel, onStderr);
    this.exit = new Promise((resolve) => {
      this.#resolveExit = resolve;
    });
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    void this.exit.then((status) => this.#resolveEnded(status));
    channel.on("exit", (code: number | null, signal?: string) => {
      this.#status = { code, signal: signal ?? null };
      this.#resolveEnded(this.#status);
    });
    channel.on("close", () => this.#resolveExit(this.#status));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    let isFinished = false;
    const finish = () => {
      clearTimeout(timer);
      if (isFinished) return;
      isFinished = true;
      this.#resolveExit(this.#status);
      super._destroy(error, done);
    };
    // A stream that was read and written to its ends destroys itself; how the command ended comes right behind (RFC 4254, 6.10).
    const isOver = error === null && this.readableEnded && this.writableFinished;
    const timer = isOver ? setTimeout(finish, EXIT_STATUS_WAIT_MS) : undefined;
    if (isOver) void this.ended.then(finish);
    else finish();
  }
}

function keepFirst(channel: ClientChannel, onStderr: OnStderr | undefined): BoundedText {
  const chunks: Buffer[] = [];
  let kept = 0;
  let isTruncated = false;
  channel.stderr.on("data", (chunk: Buffer) => {
    const fitting = chunk.subarray(0, maxStderrBytes - kept);
    if (fitting.length > 0) chunks.push(Buffer.from(fitting));
    kept += fitting.length;
    isTruncated ||= fitting.length < chunk.length;
    const taken = onStderr?.(chunk);
    if (taken === undefined) return;
    channel.stderr.pause();
    const goOn = () => channel.stderr.resume();
    taken.then(goOn, goOn);
  });
  return {
    text: () => Buffer.concat(chunks).toString("utf8"),
    get isTruncated() {
      return isTruncated;
    },
  };
}

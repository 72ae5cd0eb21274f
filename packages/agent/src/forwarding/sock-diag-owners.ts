import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { ANSWER_BYTES, decodeAnswer, encodeQuestion, QUESTION_BYTES } from "./sock-diag-message.ts";
import type { ConnectionAddresses, SocketOwner, SocketOwners } from "./socket-owner.ts";

/** Far more than an answer takes, on a busy host too; after that the helper is given up. */
const ANSWER_TIMEOUT_MS = 2000;
const EXIT_TIMEOUT_MS = 500;

/**
 * Node has no netlink sockets, perl has, and is on nearly every host. The helper knows nothing: it hands each question
 * to the kernel, and back what the kernel (port 0) says. It ends with its stdin, so with the agent, however that ends.
 */
const HELPER = `# farside: whose connections are
socket(my $s, 16, 3, 4) or exit 1;
my $kernel = pack("SSLL", 16, 0, 0, 0);
my $asked = "";
while (sysread(STDIN, $asked, 65536, length $asked)) {
  my $told = "";
  while (length $asked >= ${QUESTION_BYTES}) {
    my $question = substr($asked, 0, ${QUESTION_BYTES}, "");
    defined send($s, $question, 0, $kernel) or exit 1;
    my $answer;
    my $from = recv($s, $answer, 8192, 0);
    exit 1 if !defined $from or (unpack("SSL", $from))[2] != 0;
    $told .= pack("a${ANSWER_BYTES}", $answer);
  }
  while (length $told) {
    my $written = syswrite(STDOUT, $told) or exit 1;
    substr($told, 0, $written, "");
  }
}`;

/** `-f`: no code of the host's administrator runs in it. */
const COMMAND = ["/usr/bin/perl", "-f", "-e", HELPER] as const;

export interface SockDiagOptions {
  /** What the helper gets for an environment, whole. */
  readonly environment: NodeJS.ProcessEnv;
  readonly command?: readonly [string, ...string[]];
  readonly answerTimeoutMs?: number;
}

interface Asked {
  readonly question: Buffer;
  readonly at: number;
  readonly resolve: (owner: SocketOwner) => void;
  readonly reject: (error: Error) => void;
}

/**
 * From the kernel's NETLINK_SOCK_DIAG, through a helper process: tens of microseconds, however many connections there
 * are. After the first failure of any kind everything is rejected, and the helper is gone. Keeps no process alive.
 */
export class SockDiagOwners implements SocketOwners {
  readonly #helper: ChildProcess;
  readonly #stdin: Writable;
  readonly #timeoutMs: number;
  /** Answers come in the order of the questions. */
  #asked: Asked[] = [];
  #unsent: Buffer[] = [];
  #isSending = false;
  #received: Buffer = Buffer.alloc(0);
  #sequence = 0;
  #timer: NodeJS.Timeout | undefined;
  #failure: Error | undefined;

  constructor({ environment, command = COMMAND, answerTimeoutMs = ANSWER_TIMEOUT_MS }: SockDiagOptions) {
    this.#timeoutMs = answerTimeoutMs;
    const [file, ...args] = command;
    const helper = spawn(file, args, { stdio: ["pipe", "pipe", "ignore"], env: environment, cwd: "/" });
    this.#helper = helper;
    this.#stdin = helper.stdin;
    helper.unref();
    for (const pipe of [helper.stdin, helper.stdout]) unref(pipe);
    helper.on("error", (error) => this.#fail(error));
    helper.on("exit", (code, signal) => this.#fail(new Error(`the helper ended (${signal ?? code})`)));
    helper.stdin.on("error", (error) => this.#fail(error));
    helper.stdout.on("error", (error) => this.#fail(error));
    helper.stdout.on("data", (chunk: Buffer) => this.#take(chunk));
  }

  ownerOf(addresses: ConnectionAddresses): Promise<SocketOwner> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#sequence = (this.#sequence + 1) >>> 0;
      const question = encodeQuestion(addresses, this.#sequence);
      if (question === undefined) {
        resolve("missing");
        return;
      }
      this.#asked.push({ question, at: performance.now(), resolve, reject });
      this.#unsent.push(question);
      this.#sendSoon();
    });
  }

  /** Resolves when the helper is gone. */
  async close(): Promise<void> {
    this.#fail(new Error("closed"));
    if (this.#helper.pid === undefined || this.#helper.exitCode !== null || this.#helper.signalCode !== null)
      return;
    const limit = AbortSignal.timeout(EXIT_TIMEOUT_MS);
    await once(this.#helper, "exit", { signal: limit }).catch(() => undefined);
  }

  /**
   * All that are accepted in one turn go in one write, and what comes while the helper is busy in the next: each write
   * wakes the helper.
   */
  #sendSoon(): void {
    if (this.#isSending || this.#unsent.length === 0 || this.#asked.length > this.#unsent.length) return;
    this.#isSending = true;
    setImmediate(() => this.#send());
  }

  #send(): void {
    this.#isSending = false;
    const questions = this.#unsent;
    this.#unsent = [];
    if (this.#failure !== undefined) return;
    this.#stdin.write(questions.length === 1 ? questions[0] : Buffer.concat(questions));
    this.#timer ??= this.#watch(this.#timeoutMs);
  }

  /** One timer for all: it looks how long the oldest question waits. */
  #watch(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#timer = undefined;
      const [oldest] = this.#asked;
      if (oldest === undefined) return;
      const left = oldest.at + this.#timeoutMs - performance.now();
      if (left <= 0) this.#fail(new Error(`no answer within ${this.#timeoutMs} ms`));
      else this.#timer = this.#watch(left);
    }, ms).unref();
  }

  #take(chunk: Buffer): void {
    let rest = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (rest.length >= ANSWER_BYTES) {
      if (this.#failure !== undefined) return;
      const asked = this.#asked.shift();
      if (asked === undefined) {
        this.#fail(new Error("an answer that nobody asked for"));
        return;
      }
      try {
        asked.resolve(decodeAnswer(asked.question, rest.subarray(0, ANSWER_BYTES)));
      } catch (error) {
        asked.reject(error as Error);
        this.#fail(error as Error);
        return;
      }
      rest = rest.subarray(ANSWER_BYTES);
    }
    this.#received = rest;
    this.#sendSoon();
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    clearTimeout(this.#timer);
    this.#helper.kill("SIGKILL");
    this.#stdin.destroy();
    for (const { reject } of this.#asked.splice(0)) reject(error);
  }
}

/** Pipes to a child are sockets. */
function unref(pipe: Readable | Writable): void {
  (pipe as Partial<{ unref(): void }>).unref?.();
}

import { connect, type Socket } from "node:net";
import { CodedError, isCodedError } from "@farside/protocol";
import type { PublicKey } from "./identity.ts";
import type { KeyExchangeProof } from "./kex-proof.ts";
import { agentMessage } from "./ssh-agent-message.ts";
import { encodeString, encodeUint32, WireReader } from "./wire.ts";

/** As in OpenSSH. */
const maxMessageBytes = 256 * 1024;
const maxKeys = 2048;
const answerTimeoutMs = 10_000;

const signFlags: Readonly<Record<string, number>> = { "rsa-sha2-256": 2, "rsa-sha2-512": 4 };

/** One connection to an ssh-agent; requests are answered in order. Whoever opens it closes it. */
export class SshAgentClient {
  readonly #socket: Socket;
  readonly #path: string;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { resolve: (answer: Buffer) => void; reject: (error: unknown) => void } | undefined;
  #failure: CodedError | undefined;

  static async open(path: string, signal: AbortSignal | undefined): Promise<SshAgentClient> {
    signal?.throwIfAborted();
    const client = new SshAgentClient(path);
    try {
      await client.#exchange(undefined, answerTimeoutMs, signal);
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  private constructor(path: string) {
    this.#path = path;
    this.#socket = connect(path);
    this.#socket.on("connect", () => this.#answer(Buffer.alloc(0)));
    this.#socket.on("data", (chunk) => this.#read(chunk));
    this.#socket.on("error", (error) => this.#fail(error.message));
    this.#socket.on("close", () => this.#fail("it closed the connection"));
  }

  /** The agent's keys; those of types that are not supported are left out. */
  async keys(signal: AbortSignal | undefined, isWanted: (blob: Uint8Array) => boolean): Promise<PublicKey[]> {
    const answer = await this.#exchange(Buffer.of(agentMessage.list), answerTimeoutMs, signal);
    return this.#parse(answer, agentMessage.keys, "list its keys", (reader) => {
      const count = reader.uint32();
      if (count > maxKeys) throw new RangeError(`${count} keys`);
      return Array.from({ length: count }, () => {
        const blob = Uint8Array.from(reader.string());
        const comment = reader.string().toString("utf8");
        return { type: new WireReader(blob).name(), blob, comment };
      }).filter(({ blob }) => isWanted(blob));
    });
  }

  /** Tells the agent which host the next signature is for, so that keys with destination constraints work. Older agents refuse; that is fine. */
  async bindSession(
    proof: KeyExchangeProof,
    sessionId: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const request = Buffer.concat([
      Buffer.of(agentMessage.extension),
      encodeString("session-bind@openssh.com"),
      encodeString(proof.hostKey),
      encodeString(sessionId),
      encodeString(proof.signature),
      Buffer.of(0),
    ]);
    await this.#exchange(request, answerTimeoutMs, signal);
  }

  /** The bare signature value. No deadline but the signal's: the agent may ask somebody. */
  async sign(
    blob: Uint8Array,
    algorithm: string,
    data: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    const request = Buffer.concat([
      Buffer.of(agentMessage.sign),
      encodeString(blob),
      encodeString(data),
      encodeUint32(signFlags[algorithm] ?? 0),
    ]);
    const answer = await this.#exchange(request, undefined, signal);
    return this.#parse(answer, agentMessage.signature, "sign", (reader) => {
      const signature = new WireReader(reader.string());
      const used = signature.name();
      if (used !== algorithm) throw this.#error(`it signed with ${used} instead of ${algorithm}`);
      const value = Uint8Array.from(signature.string());
      signature.end();
      return value;
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Sends `request`, or only waits where there is none (for the connection), and resolves with the answer's body. */
  #exchange(
    request: Buffer | undefined,
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Buffer> {
    return new Promise<Buffer>((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      if (signal?.aborted === true) return reject(signal.reason);
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => this.#fail(`it did not answer within ${timeoutMs / 1000} s`), timeoutMs);
      const abort = () => {
        settle();
        this.close();
        reject(signal?.reason);
      };
      const settle = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        this.#waiting = undefined;
      };
      this.#waiting = {
        resolve: (answer) => {
          settle();
          resolve(answer);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      signal?.addEventListener("abort", abort, { once: true });
      if (request !== undefined) this.#socket.write(encodeString(request));
    });
  }

  #read(chunk: Buffer) {
    this.#received = Buffer.concat([this.#received, chunk]);
    if (this.#received.length < 4) return;
    const length = this.#received.readUInt32BE();
    if (length > maxMessageBytes) return this.#fail(`it sent a message of ${length} bytes`);
    if (this.#received.length < 4 + length) return;
    const answer = Buffer.from(this.#received.subarray(4, 4 + length));
    this.#received = Buffer.from(this.#received.subarray(4 + length));
    this.#answer(answer);
  }

  #answer(answer: Buffer): void {
    if (this.#waiting === undefined) this.#fail("it sent an answer without a question");
    else this.#waiting.resolve(answer);
  }

  #parse<T>(answer: Buffer, type: number, doing: string, read: (reader: WireReader) => T): T {
    if (answer[0] !== type) throw this.#error(`it refused to ${doing}`);
    try {
      const reader = new WireReader(answer.subarray(1));
      const result = read(reader);
      reader.end();
      return result;
    } catch (error) {
      throw isCodedError(error) ? error : this.#error("its answer makes no sense");
    }
  }

  #fail(what: string): void {
    this.#failure ??= this.#error(what);
    this.#socket.destroy();
    this.#waiting?.reject(this.#failure);
  }

  #error(what: string): CodedError {
    return new CodedError("identity.agent-unavailable", `using the ssh-agent at ${this.#path}: ${what}`, {
      hint: "Is ssh-agent running, and does `ssh-add -l` list the key?",
    });
  }
}

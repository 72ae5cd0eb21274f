import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { CodedError, harmless } from "@farside/protocol";
import { deriveOpenscConf, readOpenscConf } from "./opensc-conf.ts";
import { ModuleFailure } from "./pkcs11-error.ts";

import { defaultSignerEntry, type SignerEntry } from "./signer-entry.ts";
import { signerEnvironment } from "./signer-environment.ts";
import type { SignerAnswer, SignerCallName, SignerCalls } from "./signer-messages.ts";
import { unnamedFile } from "./unnamed-file.ts";

export interface SignerProcessOptions {
  /** Environment of the module; only what a module needs of it is passed on. */
  readonly env: Readonly<NodeJS.ProcessEnv>;
  /** More names of `env` to pass on, for modules with variables of their own. */
  readonly passEnvironment?: readonly string[] | undefined;
  /** Node's arguments that start the signer. Default: the entry beside this code. */
  readonly signerEntry?: SignerEntry | undefined;
}

export interface CallOptions {
  /** After this the module counts as hung: the process is killed and the call rejects with `card.hung`. */
  readonly deadlineMs: number;
  /** The call is taking more than a second: a touch, a PIN pad, a slow card. */
  readonly onWaiting?: (() => void) | undefined;
}

const START_TIMEOUT_MS = 20_000;
const END_TIMEOUT_MS = 3_000;
const WAITING_AFTER_MS = 1_000;
const KEPT_STDERR_BYTES = 4_096;
/** No core dumps: they would hold the PIN. */
const withoutCoreDumps = 'ulimit -c 0; exec "$@"';

/** What a token session needs of a signer. */
export type Signer = Pick<SignerProcess, "call" | "close" | "closed" | "isAlive" | "pid">;

/** The descriptor behind IPC's. */
const openscConfPath = process.platform === "linux" ? "/proc/self/fd/4" : "/dev/fd/4";

interface PendingCall {
  readonly id: number;
  readonly name: SignerCallName;
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/**
 * A signer process, from ready to gone. Takes one call at a time: the caller keeps the order. It is the leader of a
 * session of its own, so that a terminal's Ctrl-C never reaches it, and ends when this process does, however that ends.
 */
export class SignerProcess implements AsyncDisposable {
  /** Settles once the process is gone: undefined after `close()`, else why. Never rejects. */
  readonly closed: Promise<CodedError | undefined>;
  readonly #child: ChildProcess;
  #pending: PendingCall | undefined;
  #nextId = 1;
  #isClosing = false;
  /** Also where it has been told of no end yet: nothing can be sent any more. */
  #hasEnded = false;
  #hungIn: SignerCallName | undefined;
  #closing: Promise<void> | undefined;

  /** Resolves when the process takes calls. A PIN is never among its arguments or in its environment. */
  static async start(options: SignerProcessOptions): Promise<SignerProcess> {
    const { env, passEnvironment = [], signerEntry = defaultSignerEntry() } = options;
    const openscConf = unnamedFile(deriveOpenscConf(await readOpenscConf(env)), env["XDG_RUNTIME_DIR"]);
    const passed = Object.fromEntries(passEnvironment.map((name) => [name, env[name]]));
    let child: ChildProcess;
    try {
      child = spawn("/bin/sh", ["-c", withoutCoreDumps, "farside-signer", process.execPath, ...signerEntry], {
        env: { ...signerEnvironment(env), ...passed, OPENSC_CONF: openscConfPath },
        detached: true,
        serialization: "advanced",
        // stdin is the lifeline that the signer's watchdog holds.
        stdio: ["pipe", "ignore", "pipe", "ipc", openscConf],
        cwd: "/",
      });
    } finally {
      closeSync(openscConf);
    }
    const signer = new SignerProcess(child);
    await signer.#ready();
    return signer;
  }

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdin?.on("error", () => {});
    this.closed = new Promise((resolve) => {
      const settle = (how: string): void => {
        this.#hasEnded = true;
        const reason = this.#isClosing && this.#hungIn === undefined ? undefined : this.#endError(how);
        this.#pending?.reject(reason ?? new CodedError("canceled", "the card was closed", { leg: "card" }));
        this.#pending = undefined;
        resolve(reason);
      };
      child.once("exit", (code, signal) => settle(signal ?? `exit ${code}`));
      child.on("error", (error) => settle(error.message));
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** It takes calls: it neither ended nor is being ended. */
  get isAlive(): boolean {
    return this.#child.connected && !this.#hasEnded && this.#hungIn === undefined && !this.#isClosing;
  }

  /**
   * Rejects with `ModuleFailure` for what the module reports, `card.hung`, `card.crashed`, or `canceled` when the process
   * is closed meanwhile.
   */
  call<Name extends SignerCallName>(
    name: Name,
    params: SignerCalls[Name]["params"],
    { deadlineMs, onWaiting }: CallOptions,
  ): Promise<SignerCalls[Name]["result"]> {
    if (this.#pending !== undefined)
      throw new Error(`${name}: the signer is busy with ${this.#pending.name}`);
    if (!this.isAlive) return Promise.reject(this.#endError("it had ended"));
    const id = this.#nextId++;
    const answered = new Promise<unknown>((resolve, reject) => {
      this.#pending = { id, name, resolve, reject };
    });
    const deadline = setTimeout(() => {
      this.#hungIn = name;
      this.kill();
    }, deadlineMs);
    const waiting = setTimeout(() => onWaiting?.(), WAITING_AFTER_MS);
    this.#child.send({ id, name, params }, (error) => {
      if (error === null) return;
      // It is gone, or as good as gone: its end, which is still to be told, rejects the call.
      this.#hasEnded = true;
      this.kill();
    });
    return answered.finally(() => {
      clearTimeout(deadline);
      clearTimeout(waiting);
    }) as Promise<SignerCalls[Name]["result"]>;
  }

  /** Ends the process at once; `closed` settles when it is gone. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** Lets go of the card, which resets it, and ends the process; kills it after three seconds. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#isClosing = true;
    const timer = setTimeout(() => this.kill(), END_TIMEOUT_MS);
    // It comes to the signer behind a call that is under way.
    if (this.#child.connected) this.#child.disconnect();
    await this.closed;
    clearTimeout(timer);
  }

  async #ready(): Promise<void> {
    let stderr = "";
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      // Read on, so that the module never blocks; kept only until the first PIN may pass.
      stderr = (stderr + text).slice(-KEPT_STDERR_BYTES);
    });
    const ready = new Promise<void>((resolve) => {
      this.#child.on("message", (answer: SignerAnswer) => {
        if ("ready" in answer) resolve();
        else this.#settle(answer);
      });
    });
    const timer = setTimeout(() => this.kill(), START_TIMEOUT_MS);
    const isReady = await Promise.race([ready.then(() => true), this.closed.then(() => false)]);
    clearTimeout(timer);
    this.#child.stderr?.removeAllListeners("data").resume();
    if (isReady) return;
    const said = stderr.trim() === "" ? "" : `: ${harmless(stderr.trim(), 1000)}`;
    throw new CodedError("card.crashed", `the process for the PKCS#11 module did not start${said}`, {
      leg: "card",
      hint: "try again",
    });
  }

  #settle(answer: Exclude<SignerAnswer, { ready: true }>): void {
    const pending = this.#pending;
    if (pending === undefined || pending.id !== answer.id) return;
    this.#pending = undefined;
    if ("failure" in answer) pending.reject(new ModuleFailure(answer.failure));
    else pending.resolve(answer.result);
  }

  #endError(how: string): CodedError {
    if (this.#hungIn !== undefined)
      return new CodedError(
        "card.hung",
        `the PKCS#11 module did not come back from "${this.#hungIn}" and was ended`,
        {
          leg: "card",
          hint: "take the card out and put it back, then try again",
        },
      );
    return new CodedError("card.crashed", `the PKCS#11 module ended its process (${how})`, {
      leg: "card",
      hint: "try again; if it happens again, update the module (OpenSC: apt install opensc)",
    });
  }
}

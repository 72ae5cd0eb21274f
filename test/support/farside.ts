import { createInterface } from "node:readline";
import type { SessionEvent, SessionEventName, SessionEventOf } from "@farside/protocol";
import { checkout, type Lab } from "../lab/lab.ts";
import type { Exit, LabProcess } from "../lab/lab-process.ts";

export interface FarsideOptions {
  /** What the PIN descriptor (3) holds; the card's PIN where left out; `false` for no `--pin-source` at all. */
  readonly pin?: string | false;
  /** `false` for output to people; `--json` where left out. */
  readonly json?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Command put before node, e.g. strace. */
  readonly under?: readonly string[];
}

const WAIT_MS = 30_000;
export const cliPath = `${checkout}/packages/cli/dist/main.js`;
export const JUMP_LOGIN = "builder@172.16.16.158";
export const TARGET_LOGIN = "signer@172.16.16.160";
export const SECOND_TARGET_LOGIN = "signer@172.16.16.161";

/** The built command line on the lab's workstation, its `--json` events parsed as they come. */
export class FarsideRun implements AsyncDisposable {
  readonly process: LabProcess;
  readonly events: SessionEvent[] = [];
  /** Lines on stdout that are not an event; empty with `--json`, or something is wrong. */
  readonly strayLines: string[] = [];
  readonly #waiting = new Set<() => void>();
  #hasEnded = false;

  constructor(process: LabProcess, json: boolean) {
    this.process = process;
    if (json) createInterface({ input: process.output }).on("line", (line) => this.#take(line));
    void process.exit.then(() => {
      this.#hasEnded = true;
      this.#wake();
    });
  }

  get exit(): Promise<Exit> {
    return this.process.exit;
  }
  /** Everything it said, for the message of a failed expectation. */
  get transcript(): string {
    return `stdout:\n${this.process.stdout}\nstderr:\n${this.process.stderr}`;
  }

  of<Name extends SessionEventName>(name: Name): SessionEventOf<Name>[] {
    return this.events.filter((event): event is SessionEventOf<Name> => event.event === name);
  }

  /** The first event of that name that matches, past ones included. Rejects at the deadline and when farside ends first. */
  async waitForEvent<Name extends SessionEventName>(
    name: Name,
    matches: (event: SessionEventOf<Name>) => boolean = () => true,
    withinMs = WAIT_MS,
  ): Promise<SessionEventOf<Name>> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const found = this.of(name).find(matches);
      if (found !== undefined) return found;
      const left = deadline - performance.now();
      if (this.#hasEnded || left <= 0) {
        const why = this.#hasEnded ? "before farside ended" : `within ${withinMs} ms`;
        throw new Error(`no event ${name} ${why}\n${this.transcript}`);
      }
      await this.#next(left);
    }
  }

  ready(): Promise<SessionEventOf<"ready">> {
    return this.waitForEvent("ready");
  }

  async signal(signal: NodeJS.Signals): Promise<void> {
    await this.process.signal(signal);
  }

  /** Sends `signal` and returns how it ended and its receipt. */
  async end(
    signal: NodeJS.Signals = "SIGINT",
  ): Promise<{ exit: Exit; receipt: SessionEventOf<"receipt"> | undefined; ms: number }> {
    const started = performance.now();
    await this.signal(signal);
    const exit = await this.exit;
    return { exit, receipt: this.of("receipt").at(-1), ms: performance.now() - started };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.kill();
  }

  #take(line: string): void {
    try {
      this.events.push(JSON.parse(line) as SessionEvent);
    } catch {
      this.strayLines.push(line);
    }
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #next(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      this.#waiting.add(done);
    });
  }
}

/** Starts `farside ARGS` on the workstation. `--json` and `--pin-source fd:3` are put behind the command's name. */
export function runFarside(lab: Lab, args: readonly string[], options: FarsideOptions = {}): FarsideRun {
  const { json = true, env = {}, under = [] } = options;
  const pin = options.pin ?? lab.pin;
  const [command = "", ...rest] = args;
  const added = [...(json ? ["--json"] : []), ...(pin === false ? [] : ["--pin-source", "fd:3"])];
  const argv = [...under, "node", cliPath, command, ...added, ...rest];
  const started = lab.workstation.spawn(argv, {
    env: { ...lab.cardEnvironment, ...env },
    descriptors: pin === false ? [] : [`${pin}\n`],
  });
  started.stdin.end();
  return new FarsideRun(started, json);
}

/** `forward` to the target's localhost through its SSH, the main job. */
export const mainJob = (port = 4444): string[] => [
  ...["forward", JUMP_LOGIN, "-L", `${port}:localhost:4444`],
  ...["--via", TARGET_LOGIN],
];

import { createInterface } from "node:readline";
import type { Host } from "../lab/host.ts";
import type { LabProcess } from "../lab/lab-process.ts";
import { installProgram } from "../lab/program.ts";
import { within } from "../support/wait-for.ts";
import type { Order, Word } from "./order.ts";

type Listener = (word: Word) => void;

/** The program that plays one end, on a lab host. */
export class Player implements AsyncDisposable {
  /** Rejects when the program has ended, with what it said. */
  readonly ended: Promise<never>;
  readonly #process: LabProcess;
  readonly #listeners = new Map<number, Listener>();

  private constructor(process: LabProcess) {
    this.#process = process;
    this.ended = process.exit.then(({ code, signal }) => {
      throw new Error(`a player has ended (${code ?? signal}): ${process.stderr}`);
    });
    this.ended.catch(() => {});
    createInterface({ input: process.output }).on("line", (line) => {
      const word = JSON.parse(line) as Word;
      this.#listeners.get(word.run)?.(word);
    });
  }

  static async start(host: Host): Promise<Player> {
    return new Player(host.spawn(await installProgram(host, "script-player"), { user: host.user }));
  }

  /** Gives an order; `listener` hears what is said about its run from now on. */
  tell(order: Order, listener?: Listener): void {
    if (listener !== undefined) this.#listeners.set(order.run, listener);
    this.#process.stdin.write(`${JSON.stringify(order)}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.stdin.end();
    await within(this.#process.exit, 5_000, "the end of a player").catch(() => this.#process.kill());
  }
}

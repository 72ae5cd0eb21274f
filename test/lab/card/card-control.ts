import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { CardCounters } from "./virtual-piv-card.ts";

/** What can be done to a virtual card from outside. One JSON object a line each way, answered in order. */
export type CardCommand =
  | { readonly do: "state" }
  | { readonly do: "insert" }
  | { readonly do: "remove" }
  | { readonly do: "setTries"; readonly tries: number }
  | { readonly do: "setDelay"; readonly ms: number }
  | { readonly do: "resetCounters" };

/** The card's own books. */
export interface CardState extends CardCounters {
  /** PIN tries left. */
  readonly tries: number;
  readonly present: boolean;
  readonly verified: boolean;
}

type Answer = { readonly state: CardState } | { readonly failure: string };
export type CardCommandHandler = (command: CardCommand) => Promise<CardState>;

/** Serves one peer until its input ends. */
export function serveCardControl(input: Readable, output: Writable, handle: CardCommandHandler): void {
  let queue = Promise.resolve();
  createInterface({ input }).on("line", (line) => {
    queue = queue.then(async () => {
      const answer: Answer = await handle(JSON.parse(line) as CardCommand).then(
        (state) => ({ state }),
        (error: unknown) => ({ failure: error instanceof Error ? error.message : String(error) }),
      );
      if (output.writable) output.write(`${JSON.stringify(answer)}\n`);
    });
  });
}

/** The other end. Every command rejects once the card's output has ended. */
export class CardControl {
  readonly #output: Writable;
  readonly #waiting: { resolve(state: CardState): void; reject(error: Error): void }[] = [];
  #isEnded = false;

  constructor(input: Readable, output: Writable) {
    this.#output = output;
    createInterface({ input })
      .on("line", (line) => {
        const answer = JSON.parse(line) as Answer;
        const next = this.#waiting.shift();
        if ("state" in answer) next?.resolve(answer.state);
        else next?.reject(new Error(`virtual card: ${answer.failure}`));
      })
      .on("close", () => {
        this.#isEnded = true;
        for (const { reject } of this.#waiting.splice(0)) reject(new Error("virtual card: it has ended"));
      });
    output.on("error", () => {});
  }

  send(command: CardCommand): Promise<CardState> {
    if (this.#isEnded) return Promise.reject(new Error("virtual card: it has ended"));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#output.write(`${JSON.stringify(command)}\n`);
    });
  }
}

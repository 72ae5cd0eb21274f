import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Scope } from "@farside/protocol";
import { checkout } from "@farside/test/lab/lab";
import type { LabProcess } from "@farside/test/lab/lab-process";
import { JUMP_LOGIN } from "@farside/test/support/farside";
import { within } from "@farside/test/support/wait-for";
import type { BenchLab } from "../lab/bench-lab.ts";
import { Load } from "../lab/load.ts";
import type { Measured } from "../sample.ts";
import { percentile } from "../statistics.ts";
import { interleave } from "./interleave.ts";
import type { Suite, Way } from "./suite.ts";

const PROGRAM = fileURLToPath(new URL("../programs/control-round-trip.ts", import.meta.url));
const TIMEOUT_MS = 60_000;
const IDLE = "idle";
const BUSY = "during a download of 4 streams";

const farside: Way = {
  name: "farside",
  command: "session.describe(): a request to the agent, and its answer",
};
const sshCat: Way = { name: "ssh … cat", command: "a line to `ssh builder@jump cat`, and back" };
const ways = [farside, sshCat];

/** A control-round-trip program that has said that it is ready. */
class Asker implements AsyncDisposable {
  readonly #process: LabProcess;
  readonly #lines: Interface;

  static async start(bench: BenchLab, args: readonly string[]): Promise<Asker> {
    const argv = ["node", "--conditions=@farside/source", "--import", "tsx", PROGRAM, ...args];
    const asker = new Asker(bench.lab.workstation.spawn(argv, { cwd: checkout }));
    await asker.#next();
    return asker;
  }

  private constructor(process: LabProcess) {
    this.#process = process;
    this.#lines = createInterface({ input: process.output });
  }

  async ask(count: number): Promise<Measured> {
    const answer = this.#next();
    this.#process.stdin.write(`${count}\n`);
    const times = JSON.parse(await answer) as number[];
    return { p50: percentile(times, 0.5), p99: percentile(times, 0.99), p999: percentile(times, 0.999) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.stdin.end();
    await this.#process.kill();
  }

  async #next(): Promise<string> {
    const line = once(this.#lines, "line") as Promise<[string]>;
    const ended = this.#process.exit.then(({ code }): never => {
      throw new Error(`${PROGRAM} ended with ${code}: ${this.#process.stderr}`);
    });
    const [text] = await within(Promise.race([line, ended]), TIMEOUT_MS, "a control channel's answer");
    return text;
  }
}

/** How long a request to the agent takes, also while it relays. */
export const controlChannel: Suite = {
  id: "control-channel",
  title: "Round trip on the control channel",
  about: `A request from the workstation to the agent and its answer, one after the other; in the second case while the same agent
relays a download of 4 streams from a TCP target (for ssh the same download goes on beside it).`,
  ways,
  metrics: ["p50", "p99", "p999"],
  rounds: 3,
  run: async ({ bench, isQuick, rounds, progress }) => {
    await using scope = new Scope();
    const port = bench.nextPort();
    const login = [JUMP_LOGIN, bench.workstationKey];
    const forward = `127.0.0.1:${port}:${bench.service}`;
    const askers = new Map([
      [farside, scope.use(await Asker.start(bench, ["farside", ...login, forward]))],
      [sshCat, scope.use(await Asker.start(bench, ["ssh", ...login]))],
    ]);
    const count = isQuick ? 100 : 1000;
    return await interleave({
      ways,
      cases: [IDLE, BUSY],
      rounds,
      progress,
      measure: async (way, name) => {
        const asker = askers.get(way);
        if (name === IDLE) return asker?.ask(count);
        await using load = new Load(bench.jump, `127.0.0.1:${port}`, ["down", 4, 100, TIMEOUT_MS]);
        await load.next("measuring", TIMEOUT_MS);
        return await asker?.ask(count / 5);
      },
    });
  },
};

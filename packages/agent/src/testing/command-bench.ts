import { readdirSync, readFileSync } from "node:fs";
import { commandInput, type RunCommandParams, runCommand } from "@farside/protocol";
import { afterAll, beforeAll, expect } from "vitest";
import { AgentProcess, type AgentProcessOptions } from "./agent-process.ts";
import { type BuiltBundle, buildBundle } from "./build-bundle.ts";
import { newRun } from "./new-run.ts";
import { within } from "./within.ts";

/** A deploy of this test process' own, by which its commands are found. */
const NONCE = newRun();
const MARK = `FARSIDE_COMMAND=${NONCE}-`;
/** Ignores SIGTERM, says so, and goes on. */
export const DEAF = "trap '' TERM INT HUP; echo up; while :; do sleep 0.1; done";

/** Starts an agent whose commands' output is kept; for the tests of a file. */
export function useCommandBench(): (options?: Partial<AgentProcessOptions>) => Promise<CommandBench> {
  let built: BuiltBundle;
  beforeAll(async () => {
    built = await buildBundle();
  });
  afterAll(() => built[Symbol.asyncDispose]());
  return (options) => CommandBench.start({ bundle: built.path, ...options });
}

/** An agent whose commands' output is kept. */
export class CommandBench implements AsyncDisposable {
  readonly agent: AgentProcess;
  readonly #output: { stdout: string; stderr: string };
  readonly #watchers: Set<() => void>;
  #lastId = 0;

  static async start(options: AgentProcessOptions): Promise<CommandBench> {
    const output = { stdout: "", stderr: "" };
    const watchers = new Set<() => void>();
    const agent = await AgentProcess.start({
      nonce: NONCE,
      onOutput: async ({ stream, data }) => {
        output[stream] += Buffer.from(data).toString("latin1");
        for (const look of watchers) look();
        return { isOpen: true };
      },
      ...options,
    });
    return new CommandBench(agent, output, watchers);
  }

  private constructor(
    agent: AgentProcess,
    output: { stdout: string; stderr: string },
    watchers: Set<() => void>,
  ) {
    this.agent = agent;
    this.#output = output;
    this.#watchers = watchers;
  }

  get stdout(): string {
    return this.#output.stdout;
  }
  get stderr(): string {
    return this.#output.stderr;
  }

  run(argv: readonly string[], more: Partial<RunCommandParams> = {}, signal?: AbortSignal) {
    this.#lastId += 1;
    const params = { commandId: this.#lastId, argv: [...argv], environment: {}, ...more };
    const ended = this.agent.peer.request(runCommand, params, { signal });
    ended.catch(() => {});
    return { commandId: this.#lastId, ended };
  }

  sh(script: string, more: Partial<RunCommandParams> = {}, signal?: AbortSignal) {
    return this.run(["sh", "-c", script], more, signal);
  }

  input(commandId: number, data: string | Uint8Array, isLast = false) {
    return this.agent.peer.request(commandInput, { commandId, data: Buffer.from(data), isLast });
  }

  says(pattern: RegExp): Promise<void> {
    const said = new Promise<void>((resolve) => {
      const look = () => {
        if (pattern.test(this.stdout)) resolve();
      };
      this.#watchers.add(look);
      look();
    });
    return within(said, () => `${pattern} was not said: ${JSON.stringify(this.#output)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent[Symbol.asyncDispose]();
    for (const pid of marked()) process.kill(pid, "SIGKILL");
  }
}

/** Living processes of commands of this test process' agents. */
export function marked(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const state = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.[0];
        return state !== "Z" && readFileSync(`/proc/${pid}/environ`, "latin1").includes(MARK);
      } catch {
        return false;
      }
    });
}

export async function expectNothingLeft(): Promise<void> {
  const gone = (async () => {
    while (marked().length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    return [];
  })();
  expect(await within(gone, () => `processes are left: ${marked()}`)).toEqual([]);
}

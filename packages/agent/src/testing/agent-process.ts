import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import {
  type AgentEndReason,
  type AgentHello,
  agentEnding,
  agentHello,
  type CommandOutputParams,
  commandOutput,
  type DataOf,
  type EventDefinition,
  FramedStream,
  handle,
  type OrchestratorHello,
  orchestratorHello,
  Peer,
  type SignParams,
} from "@farside/protocol";
import { newRun } from "./new-run.ts";
import { type StartedBundle, startBundle } from "./started-bundle.ts";
import { hearing, signsWith, testHello } from "./test-orchestrator.ts";
import { within } from "./within.ts";

const NONCE = newRun();
const DIGEST = "ab".repeat(32);

export interface AgentProcessOptions {
  /** Path of agent.cjs. */
  readonly bundle: string;
  readonly node?: string;
  /** The deploy's; by it what a test leaves behind can be told from what others do. */
  readonly nonce?: string;
  /** Undefined: no hello is sent. */
  readonly hello?: Partial<OrchestratorHello> | undefined;
  readonly sign?: (params: SignParams) => Promise<Uint8Array>;
  /** Takes what commands print; default: it is taken and forgotten. */
  readonly onOutput?: (params: CommandOutputParams) => Promise<{ isOpen: boolean }>;
  /** Makes another command of the agent's own: to run it as another user, through ssh … */
  readonly wrap?: (command: readonly string[]) => readonly string[];
}

interface Received {
  readonly name: string;
  readonly data: unknown;
}

/** An agent in a process of its own, and a hand-written orchestrator at its stdio. */
export class AgentProcess implements AsyncDisposable {
  readonly child: ChildProcessWithoutNullStreams;
  readonly peer: Peer;
  readonly hello: AgentHello;
  readonly events: Received[];
  /** Settles with exit code and signal. */
  readonly exited: Promise<readonly [code: number | null, signal: NodeJS.Signals | null]>;
  readonly #stderr: () => string;
  readonly #watchers: Set<() => void>;

  static async start(options: AgentProcessOptions): Promise<AgentProcess> {
    const { child, stderr, rest } = await startWithPreamble(options);
    const events: Received[] = [];
    const watchers = new Set<() => void>();
    const peer = new Peer(
      new FramedStream({ readable: child.stdout, writable: child.stdin }, { initial: rest }),
      {
        requests: [
          signsWith(options.sign),
          handle(commandOutput, options.onOutput ?? (async () => ({ isOpen: true }))),
        ],
        events: hearing(({ name }, data) => {
          events.push({ name, data });
          for (const look of watchers) look();
        }),
      },
    );
    const hello = (await waitForEvent(events, watchers, agentHello, () => true)) as AgentHello;
    if (!("hello" in options) || options.hello !== undefined) {
      peer.emit(orchestratorHello, testHello("test-session", options.hello));
    }
    return new AgentProcess(child, peer, hello, events, stderr, watchers);
  }

  private constructor(
    child: ChildProcessWithoutNullStreams,
    peer: Peer,
    hello: AgentHello,
    events: Received[],
    stderr: () => string,
    watchers: Set<() => void>,
  ) {
    this.child = child;
    this.peer = peer;
    this.hello = hello;
    this.events = events;
    this.#stderr = stderr;
    this.#watchers = watchers;
    this.exited =
      child.exitCode === null && child.signalCode === null
        ? (once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>)
        : Promise.resolve([child.exitCode, child.signalCode] as const);
  }

  get log(): string {
    return this.#stderr();
  }

  /** The first event of `definition` that `matches`, past or to come. */
  event<D extends EventDefinition>(
    definition: D,
    matches: (data: DataOf<D>) => boolean = () => true,
  ): Promise<DataOf<D>> {
    return waitForEvent(this.events, this.#watchers, definition, matches) as Promise<DataOf<D>>;
  }

  /** Exit code and signal, within the deadline; by then all that it has said and logged is here. */
  async exit(): Promise<readonly [number | null, NodeJS.Signals | null]> {
    const exit = await within(this.exited, () => `the agent did not exit; it logged: ${this.log}`);
    // An exit may be heard of before the last bytes of its pipes are.
    const { stderr } = this.child;
    const said = Promise.all([this.peer.closed, stderr.readableEnded ? undefined : once(stderr, "end")]);
    await within(said, () => "somebody else holds the agent's output");
    return exit;
  }

  get endReason(): AgentEndReason | undefined {
    const ending = this.events.find(({ name }) => name === agentEnding.name);
    return (ending?.data as DataOf<typeof agentEnding> | undefined)?.reason;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGCONT");
    this.child.kill("SIGKILL");
    await this.exited;
    await this.peer.close();
  }
}

/** Starts the bundle as the loader does and waits for its preamble. */
export async function startWithPreamble({
  bundle,
  node = process.execPath,
  nonce = NONCE,
  wrap,
}: AgentProcessOptions): Promise<StartedBundle> {
  const boot = `globalThis[Symbol.for("farside.boot")]={nonce:"${nonce}",digest:"${DIGEST}"};require(${JSON.stringify(bundle)})`;
  const own = [node, "-e", boot];
  return startBundle(wrap?.(own) ?? own, { nonce });
}

async function waitForEvent(
  events: readonly Received[],
  watchers: Set<() => void>,
  definition: EventDefinition,
  matches: (data: never) => boolean,
): Promise<unknown> {
  const found = new Promise<unknown>((resolve) => {
    const look = () => {
      const event = events.find(({ name, data }) => name === definition.name && matches(data as never));
      if (event === undefined) return;
      watchers.delete(look);
      resolve(event.data);
    };
    watchers.add(look);
    look();
  });
  return within(found, () => `no ${definition.name}; there were ${JSON.stringify(events)}`);
}

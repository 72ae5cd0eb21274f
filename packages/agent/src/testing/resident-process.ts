import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Duplex } from "node:stream";
import {
  type AgentHello,
  agentHello,
  type DataOf,
  type EventDefinition,
  MAX_FRAME_BYTES,
  type OrchestratorHello,
  orchestratorHello,
  Peer,
  type SignParams,
  WebSocketStream,
} from "@farside/protocol";
import { WebSocket } from "ws";
import { jobArgument } from "../boot-facts.ts";
import { startBundle } from "./started-bundle.ts";
import { hearing, signsWith, testHello } from "./test-orchestrator.ts";
import { within } from "./within.ts";

/** A process that the loader has started on the host, up to its preamble. */
export interface LoadedProcess {
  readonly child: ChildProcessWithoutNullStreams;
  readonly status: string;
  /** What is read and written behind the preamble. */
  readonly carrier: Duplex;
}

export interface LoadOptions {
  /** Path of NAME.cjs; NAME.cjs.br is beside it. */
  readonly bundle: string;
  readonly node?: string;
  readonly nonce: string;
  readonly job: Readonly<Record<string, string>>;
  readonly environment: NodeJS.ProcessEnv;
}

/** Starts a bundle as the loader does, with a job. */
export async function load({
  bundle,
  node = process.execPath,
  nonce,
  job,
  environment,
}: LoadOptions): Promise<LoadedProcess> {
  const digest = createHash("sha256")
    .update(readFileSync(`${bundle}.br`))
    .digest("hex");
  const facts = `{nonce:"${nonce}",digest:"${digest}",argument:"${jobArgument(job)}",compressed:require("fs").readFileSync(${JSON.stringify(`${bundle}.br`)})}`;
  const boot = `globalThis[Symbol.for("farside.boot")]=${facts};require(${JSON.stringify(bundle)})`;
  const { child, status, rest } = await startBundle([node, "-e", boot], { nonce, env: environment });
  if (rest.length > 0) child.stdout.unshift(rest);
  const carrier = Duplex.from({ readable: child.stdout, writable: child.stdin });
  carrier.on("error", () => undefined);
  // As an SSH channel closes. A joined stream whose reading half has ended may wait for its writing half for ever.
  child.once("close", () => carrier.destroy());
  return { child, status, carrier };
}

export interface ControlOptions {
  /** Undefined: this channel only asks. */
  readonly hello?: Partial<OrchestratorHello> | undefined;
  readonly sign?: (params: SignParams) => Promise<Uint8Array>;
}

/** A control channel to a resident agent, with a hand-written orchestrator. */
export class Control implements AsyncDisposable {
  readonly peer: Peer;
  readonly events: { readonly name: string; readonly data: unknown }[] = [];
  readonly #greeted: Promise<AgentHello>;

  /** Speaks WebSocket over `carrier`. */
  static async over(carrier: Duplex, options: ControlOptions = {}): Promise<Control> {
    const socket = new WebSocket("ws://agent/control", {
      ...{ createConnection: () => carrier, perMessageDeflate: false, maxPayload: MAX_FRAME_BYTES },
    } as ConstructorParameters<typeof WebSocket>[2]);
    const control = new Control(socket, options);
    await within(once(socket, "open"), () => "no WebSocket");
    await within(control.#greeted, () => "no hello");
    if ("hello" in options) {
      control.peer.emit(orchestratorHello, testHello("test", options.hello));
    }
    return control;
  }

  private constructor(socket: WebSocket, { sign }: ControlOptions) {
    let greet: (hello: AgentHello) => void = () => undefined;
    this.#greeted = new Promise((resolve) => {
      greet = resolve;
    });
    this.peer = new Peer(new WebSocketStream(socket), {
      requests: [signsWith(sign)],
      events: hearing(({ name }, data) => {
        this.events.push({ name, data });
        if (name === agentHello.name) greet(data as AgentHello);
      }),
    });
  }

  get hello(): Promise<AgentHello> {
    return this.#greeted;
  }

  of<D extends EventDefinition>(definition: D): DataOf<D>[] {
    return this.events.filter(({ name }) => name === definition.name).map(({ data }) => data as DataOf<D>);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.peer.close();
  }
}

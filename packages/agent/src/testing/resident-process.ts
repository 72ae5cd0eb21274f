import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Duplex } from "node:stream";
import {
  type AgentHello,
  agentHello,
  type DataOf,
  type EventDefinition,
  eventsToOrchestrator,
  handle,
  MAX_FRAME_BYTES,
  type OrchestratorHello,
  on,
  orchestratorHello,
  Peer,
  PreambleScanner,
  type SignParams,
  signWithIdentity,
  WebSocketStream,
} from "@farside/protocol";
import { WebSocket } from "ws";
import { jobArgument } from "../boot-facts.ts";
import { within } from "./agent-process.ts";

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
  const child = spawn(node, ["-e", boot], { stdio: "pipe", env: environment });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdin.on("error", () => undefined);
  const scanner = new PreambleScanner(nonce);
  const preamble = new Promise<{ status: string; rest: Buffer }>((resolve, reject) => {
    const take = () => {
      for (let chunk = child.stdout.read(); chunk !== null; chunk = child.stdout.read()) {
        const found = scanner.push(chunk);
        if (found === undefined) continue;
        child.stdout.off("readable", take);
        resolve(found);
        return;
      }
    };
    child.stdout.on("readable", take);
    child.stdout.once("end", () => reject(new Error(`no preamble; stderr: ${stderr}`)));
  });
  const { status, rest } = await within(preamble, () => `no preamble; stderr: ${stderr}`);
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
      control.peer.emit(orchestratorHello, {
        ...{
          protocol: 1,
          session: "test",
          leaseMs: 15_000,
          ttlMs: 0,
          idleMs: 0,
          logLevel: "debug",
          capabilities: [],
        },
        ...options.hello,
      });
    }
    return control;
  }

  private constructor(socket: WebSocket, { sign }: ControlOptions) {
    let greet: (hello: AgentHello) => void = () => undefined;
    this.#greeted = new Promise((resolve) => {
      greet = resolve;
    });
    this.peer = new Peer(new WebSocketStream(socket), {
      requests: [
        handle(signWithIdentity, async (params) => {
          if (sign === undefined) throw new Error("nothing signs here");
          return { signature: await sign(params) };
        }),
      ],
      events: eventsToOrchestrator.map((definition) =>
        on(definition as EventDefinition, (data) => {
          this.events.push({ name: definition.name, data });
          if (definition === agentHello) greet(data as AgentHello);
        }),
      ),
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

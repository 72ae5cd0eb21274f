import { agentBundle } from "@farside/agent/bundle";
import { type EventHandler, type HostLook, lookAtHost, type RequestHandler } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { type Deployment, deploy } from "../deploy.ts";
import { RemoteCommands } from "../remote-command.ts";
import { HostPeer } from "./host-peer.ts";

const CLOSE_TIMEOUT_MS = 5_000;

export interface BuildServerOptions {
  /** A connection to it; borrowed. */
  readonly hop: Hop;
  /** `user@host`. */
  readonly host: string;
  readonly remoteNode?: string | undefined;
  readonly onLog?: ((chunk: Buffer) => void) | undefined;
  readonly signal: AbortSignal;
}

/** A host on which agents are installed, as one login sees it. Closing it leaves what is installed alone. */
export class BuildServer implements AsyncDisposable {
  readonly host: string;
  /** Runs commands there. */
  readonly commands: RemoteCommands;
  readonly #options: BuildServerOptions;
  readonly #installer: HostPeer;
  readonly #deployment: Deployment;

  /** Starts the installer there, in memory. Rejects as `deploy` does. */
  static async connect(options: BuildServerOptions): Promise<BuildServer> {
    const { hop, host, remoteNode, onLog, signal } = options;
    const bundle = agentBundle(undefined, "installed-agent");
    const deployment = await deploy({
      ...{ hop, host, bundle, remoteNode, onLog, signal },
      job: { job: "install" },
    });
    let installer: HostPeer | undefined;
    const commands = new RemoteCommands(() => {
      if (installer === undefined) throw new Error("no installer");
      return installer.peer;
    });
    installer = await HostPeer.connect({
      ...{ stream: deployment.stream, host, signal, capability: "installer" },
      requests: [commands.handler],
    });
    return new BuildServer(options, { installer, deployment, commands });
  }

  private constructor(
    options: BuildServerOptions,
    parts: { installer: HostPeer; deployment: Deployment; commands: RemoteCommands },
  ) {
    this.host = options.host;
    this.commands = parts.commands;
    this.#options = options;
    this.#installer = parts.installer;
    this.#deployment = parts.deployment;
  }

  /** The installer's channel. */
  get installer(): Pick<HostPeer, "ask" | "hello"> {
    return this.#installer;
  }

  /** Marks the installer's processes. */
  get nonce(): string {
    return this.#deployment.nonce;
  }

  look(name: string): Promise<HostLook> {
    return this.#installer.ask(lookAtHost, { name }, this.#options.signal);
  }

  /** A channel to the agent that listens on `control` there. The caller closes it. Rejects with `agent.gone` where there is none. */
  async attach(
    control: string,
    { requests, events }: { requests?: readonly RequestHandler[]; events?: readonly EventHandler[] } = {},
  ): Promise<HostPeer> {
    const { hop, host, remoteNode, onLog, signal } = this.#options;
    const bundle = agentBundle(undefined, "bridge");
    const { stream } = await deploy({
      ...{ hop, host, bundle, remoteNode, onLog, signal },
      job: { control },
    });
    return HostPeer.connect({
      ...{ stream, host, signal, capability: "installed" },
      requests: requests ?? [],
      events: events ?? [],
    });
  }

  /** Waits for the installer's end, unless it still finishes what it was asked for. */
  async close(): Promise<void> {
    await this.#installer.close();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
    });
    await Promise.race([this.#deployment.ended, late]);
    clearTimeout(timer);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

import type { AgentDescription } from "@farside/protocol";
import { CodedError } from "@farside/protocol";
import type { EndOptions, Engine, EngineContext, OpenOptions } from "../engine/engine.ts";
import type { HostReport } from "../engine/openssh/host-report.ts";
import { OpensshEngine, type OpensshEngineOptions } from "../engine/openssh/openssh-engine.ts";
import { planListeners } from "../engine/openssh/plan-listeners.ts";
import type { ForwardCounters } from "../forward-counters.ts";
import { type ForwardSpec, formatBind, formatTarget } from "../forward-spec.ts";
import type { RemoteCommand } from "../remote-command.ts";
import type { CheckName } from "./check.ts";
import { describeNoise } from "./describe-noise.ts";
import { failureAsCheck } from "./failure-as-check.ts";
import type { ProbeOptions } from "./probe-options.ts";
import { probeSshd } from "./probe-sshd.ts";

export interface ProbeOpensshOptions extends ProbeOptions {
  readonly openssh: OpensshEngineOptions;
}

/**
 * The jump host's own ssh, which logs in to the hops and is told to forward nothing: so nothing is opened. What it needs is
 * told as checks; `start` rejects with what is missing there, later failures end nothing.
 */
export class ProbeOpenssh implements Engine {
  readonly #options: ProbeOpensshOptions;
  readonly #context: EngineContext;
  readonly #engine: OpensshEngine;

  constructor(options: ProbeOpensshOptions, context: EngineContext) {
    this.#options = options;
    this.#context = context;
    this.#engine = new OpensshEngine({ ...options.openssh, forwards: [] }, context);
  }

  get counters(): ForwardCounters {
    return this.#engine.counters;
  }

  async start(signal: AbortSignal): Promise<void> {
    try {
      await this.#engine.start(signal);
      const { version } = this.#tellShell() ?? {};
      this.#ok("ssh", `${version} tells the card which host it logs in to (session-bind)`);
    } catch (error) {
      if (this.#tellShell()?.socket !== undefined) this.#lends();
      throw error;
    }
    this.#lends();
  }

  async open(options: OpenOptions): Promise<void> {
    const { signal } = options;
    const { forwards, onCheck } = this.#options;
    const enoughFor = "farside forward, and not for farside run with --engine openssh";
    await probeSshd({ ...this.#options, ...this.#context, enoughFor, signal });
    for (const forward of forwards) await this.#check("listen", signal, async () => this.#listen(forward));
    if (this.#context.route.length > 0)
      await this.#check("hop", signal, () => this.#engine.open({ ...options, onOpen: () => {} }));
    for (const { target } of forwards) {
      const text = `${formatTarget(target)}, which the ssh there dials only when something connects`;
      onCheck({ check: "target", outcome: "skipped", text });
    }
  }

  describe(): Promise<AgentDescription> {
    return this.#engine.describe();
  }

  run(): RemoteCommand {
    throw new CodedError("agent.unsupported-host", "a diagnosis runs no commands", { leg: "jump" });
  }

  end(options: EndOptions): Promise<void> {
    return this.#engine.end(options);
  }

  #tellShell(): HostReport | undefined {
    const { found } = this.#engine;
    if (found !== undefined) this.#options.onCheck(describeNoise(found.noise));
    return found?.report;
  }

  #lends(): void {
    this.#ok("ssh-agent", "sshd forwards an ssh-agent for this login, through which the card signs");
  }

  #listen(forward: ForwardSpec): void {
    const { onCheck } = this.#options;
    const { bind } = forward;
    const { report } = this.#engine.found ?? {};
    if (report === undefined) throw new Error("a listener is looked at on a host that was not");
    planListeners([forward], report, this.#context.host);
    if (bind.kind === "loopback")
      this.#ok("listen", `${formatBind(bind)} ${bind.port === 0 ? "takes a free port" : "is free"}`);
    else {
      const text = `${formatBind(bind)}, which the ssh there finds out when it listens`;
      onCheck({ check: "listen", outcome: "skipped", text });
    }
  }

  #check(check: CheckName, signal: AbortSignal, look: () => Promise<void>): Promise<void> {
    return failureAsCheck(check, look, { ...this.#options, signal });
  }

  #ok(check: CheckName, text: string): void {
    this.#options.onCheck({ check, outcome: "ok", text });
  }
}

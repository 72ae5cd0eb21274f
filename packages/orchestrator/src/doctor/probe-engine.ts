import { type AgentDescription, CodedError, fromWire, type TargetAddress } from "@farside/protocol";
import { AgentEngine, type AgentEngineOptions } from "../engine/agent-engine.ts";
import type { EndOptions, Engine, EngineContext, OpenOptions } from "../engine/engine.ts";
import type { ForwardCounters } from "../forward-counters.ts";
import { formatBind, formatTarget } from "../forward-spec.ts";
import { LearnedRoute } from "../learned-route.ts";
import type { RemoteCommand } from "../remote-command.ts";
import { type CheckName, failedCheck } from "./check.ts";
import { describeLimits } from "./describe-limits.ts";
import { describeNoise } from "./describe-noise.ts";
import { failureAsCheck } from "./failure-as-check.ts";
import type { ProbeOptions } from "./probe-options.ts";
import { probeSshd } from "./probe-sshd.ts";

export interface ProbeEngineOptions extends ProbeOptions {
  readonly agent: AgentEngineOptions;
}

/** The agent, which is asked what a session would need instead of opening anything. Failures are told as checks, and end nothing. */
export class ProbeEngine implements Engine {
  readonly #options: ProbeEngineOptions;
  readonly #context: EngineContext;
  readonly #agent: AgentEngine;

  constructor(options: ProbeEngineOptions, context: EngineContext) {
    this.#options = options;
    this.#context = context;
    this.#agent = new AgentEngine(options.agent, context);
  }

  get counters(): ForwardCounters {
    return this.#agent.counters;
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#agent.start(signal);
    const { noise, link } = this.#agent;
    this.#options.onCheck(describeNoise(noise));
    const { node, user, uid } = link.hello;
    this.#ok("node", `Node.js ${node} runs the agent as ${user} (uid ${uid})`);
  }

  async open({ signal }: OpenOptions): Promise<void> {
    const { forwards, metricsPort, agent, onCheck } = this.#options;
    const { link } = this.#agent;
    const route = this.#context.route;
    await probeSshd({ ...this.#options, ...this.#context, signal });
    await this.#check("limits", signal, async () => {
      for (const check of describeLimits(await link.describeHost(signal))) onCheck(check);
    });
    const places = forwards.map(({ bind }) => ({ bind, what: "" }));
    if (metricsPort !== undefined)
      places.push({ bind: { kind: "loopback", port: metricsPort }, what: ", for metrics" });
    for (const { bind, what } of places) {
      await this.#check("listen", signal, async () => {
        await link.probeBind(bind, signal);
        const port = bind.kind === "unix" || bind.port !== 0 ? "is free" : "takes a free port";
        this.#ok("listen", `${formatBind(bind)} ${port}${what}`);
      });
    }
    const targets = forwards.map(({ target }) => target);
    if (route.length === 0 && targets.length === 0) return;
    const learned = new LearnedRoute(route, agent.forwarding.judgeHostKey, signal);
    await this.#check("hop", signal, async () => {
      const found = await learned.try((hops) => link.probeRoute(hops, targets, signal));
      this.#targets(targets, found);
    });
  }

  describe(signal: AbortSignal): Promise<AgentDescription> {
    return this.#agent.describe(signal);
  }

  run(): RemoteCommand {
    throw new CodedError("agent.unsupported-host", "a diagnosis runs no commands", { leg: "jump" });
  }

  end(options: EndOptions): Promise<void> {
    return this.#agent.end(options);
  }

  #targets(
    targets: readonly TargetAddress[],
    found: Awaited<ReturnType<AgentEngine["link"]["probeRoute"]>>,
  ): void {
    for (const [index, target] of targets.entries()) {
      const { error, durationMs } = found[index] ?? {};
      const place = this.#context.route.at(-1);
      const from = place === undefined ? this.#context.host : `${place.user}@${place.host}`;
      if (error === undefined)
        this.#ok("target", `${formatTarget(target)} answers from ${from}, in ${durationMs ?? 0} ms`);
      else this.#options.onCheck(failedCheck("target", fromWire(error)));
    }
  }

  #check(check: CheckName, signal: AbortSignal, look: () => Promise<void>): Promise<void> {
    return failureAsCheck(check, look, { ...this.#options, signal });
  }

  #ok(check: CheckName, text: string): void {
    this.#options.onCheck({ check, outcome: "ok", text });
  }
}

import {
  type AgentDescription,
  CodedError,
  fromWire,
  isCodedError,
  type TargetAddress,
  toCodedError,
} from "@farside/protocol";
import { markCommand, newNonce } from "../bootstrap.ts";
import { AgentEngine, type AgentEngineOptions } from "../engine/agent-engine.ts";
import type { EndOptions, Engine, EngineContext, OpenOptions } from "../engine/engine.ts";
import type { ForwardCounters } from "../forward-counters.ts";
import { type ForwardSpec, formatBind, formatTarget } from "../forward-spec.ts";
import { LearnedRoute } from "../learned-route.ts";
import type { RemoteCommand } from "../remote-command.ts";
import { forwardsAnywhere, respectSshdPolicy } from "../sshd-policy.ts";
import { type Check, type CheckName, failedCheck } from "./check.ts";
import { describeLimits } from "./describe-limits.ts";

/** Of what a login prints, how much is shown. */
const SHOWN_NOISE = 120;

export interface ProbeEngineOptions {
  readonly agent: AgentEngineOptions;
  readonly forwards: readonly ForwardSpec[];
  /** `--respect-sshd-policy`: what sshd forbids is a failure. */
  readonly respectSshdPolicy: boolean;
  readonly onCheck: (check: Check) => void;
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
    if (noise === "") this.#ok("shell", "the login shell prints nothing and runs commands");
    else {
      const shown = noise.length > SHOWN_NOISE ? `${noise.slice(0, SHOWN_NOISE)}…` : noise;
      this.#warn(
        "shell",
        `the login shell prints ${noise.length} characters before a command, which are skipped: ${shown}`,
        "Let rc files print on a terminal only: farside takes up to 64 KiB.",
      );
    }
    const { node, user, uid } = link.hello;
    this.#ok("node", `Node.js ${node} runs the agent as ${user} (uid ${uid})`);
  }

  async open({ signal }: OpenOptions): Promise<void> {
    const { forwards, agent, onCheck } = this.#options;
    const { link } = this.#agent;
    const route = this.#context.route;
    await this.#check("sshd", signal, () => this.#sshd(signal));
    await this.#check("sshd", signal, () => this.#sessions(signal));
    await this.#check("limits", signal, async () => {
      for (const check of describeLimits(await link.describeHost(signal))) onCheck(check);
    });
    for (const { bind } of forwards) {
      await this.#check("listen", signal, async () => {
        await link.probeBind(bind, signal);
        const port = bind.kind === "unix" || bind.port !== 0 ? "is free" : "takes a free port";
        this.#ok("listen", `${formatBind(bind)} ${port}`);
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

  async #sshd(signal: AbortSignal): Promise<void> {
    const { hop, host } = this.#context;
    const first = this.#context.route[0];
    const destinations =
      first === undefined
        ? this.#options.forwards.map(({ target }) => target)
        : [{ kind: "tcp" as const, host: first.host, port: first.port }];
    const isFree = await forwardsAnywhere({ hop, host, signal });
    try {
      if (!isFree && destinations.length > 0) await respectSshdPolicy({ hop, host, destinations, signal });
    } catch (error) {
      if (!isCodedError(error) || error.code !== "forward.forbidden-by-policy") throw error;
      if (this.#options.respectSshdPolicy) throw error;
      this.#forbidden(`sshd of ${host} forbids this login what a session would forward`);
      return;
    }
    if (isFree) this.#ok("sshd", "sshd lets this login forward");
    else if (destinations.length > 0)
      this.#ok("sshd", "sshd lets this login forward where a session would (PermitOpen)");
    else this.#forbidden(`sshd of ${host} forbids this login to forward to the host itself`);
  }

  /** The agent has one session; whether there may be more decides nothing. */
  async #sessions(signal: AbortSignal): Promise<void> {
    try {
      const channel = await this.#context.hop.exec(markCommand(newNonce()), { signal });
      channel.on("error", () => {}).resume();
      channel.end();
      await channel.exit;
      channel.destroy();
      this.#ok("sshd", "sshd allows further sessions on the connection");
    } catch (error) {
      if (!isCodedError(error) || error.code !== "hop.channel-refused") throw error;
      this.#ok("sshd", "sshd allows one session on a connection (MaxSessions 1), which is enough");
    }
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

  async #check(check: CheckName, signal: AbortSignal, look: () => Promise<void>): Promise<void> {
    try {
      await look();
    } catch (error) {
      signal.throwIfAborted();
      const coded = toCodedError(error);
      if (coded.code === "agent.gone" || coded.code === "hop.lost") throw coded;
      this.#options.onCheck(failedCheck(coded.leg === "target" ? "target" : check, coded));
    }
  }

  #forbidden(text: string): void {
    const hint =
      "farside works all the same: its agent opens its sockets itself. --respect-sshd-policy holds it to what sshd allows.";
    this.#warn("sshd", `${text} (AllowTcpForwarding, DisableForwarding, PermitOpen, restrict)`, hint);
  }

  #ok(check: CheckName, text: string): void {
    this.#options.onCheck({ check, outcome: "ok", text });
  }

  #warn(check: CheckName, text: string, hint: string): void {
    this.#options.onCheck({ check, outcome: "warning", text, hint });
  }
}

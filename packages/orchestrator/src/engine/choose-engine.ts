import type { AuditTrail } from "@farside/protocol/audit";
import type { Identity } from "@farside/ssh";
import type { AgentBundle } from "../deploy.ts";
import type { DeclaredHop } from "../destination-guard.ts";
import { DEFAULTS, type ForwardOptions } from "../forward-options.ts";
import type { ForwardSpec } from "../forward-spec.ts";
import type { JudgeHostKey } from "../learned-route.ts";
import type { RuntimeChoice } from "../runtime/runtime-choice.ts";
import type { SessionFolder } from "../session-folder.ts";
import type { SessionPlan } from "../session-plan.ts";
import type { StartDeadline } from "../start-deadline.ts";
import { AgentEngine, type AgentEngineOptions } from "./agent-engine.ts";
import type { Engine, EngineContext } from "./engine.ts";
import { OpensshEngine, type OpensshEngineOptions } from "./openssh/openssh-engine.ts";
import type { HopTrust } from "./openssh/ssh-command.ts";
import { ResidentEngine } from "./resident-engine.ts";

/** Makes an engine of what each of the two would be made of. */
export type MakeEngine = (
  options: { readonly agent: AgentEngineOptions; readonly openssh: OpensshEngineOptions },
  context: EngineContext,
) => Engine;

/** What was decided for the session, whatever its engine. */
export interface EngineParts {
  /** Makes another engine than the options ask for. */
  readonly makeEngine?: MakeEngine | undefined;
  readonly bundle: AgentBundle;
  /** Of an agent that outlives its connection; undefined: it does not. */
  readonly bridge: AgentBundle | undefined;
  readonly runtime: RuntimeChoice | undefined;
  readonly identity: Pick<Identity, "sign" | "ready">;
  readonly folder: SessionFolder;
  readonly audit: Pick<AuditTrail, "append">;
  readonly startDeadline: Pick<StartDeadline, "reached" | "during">;
  readonly forwards: readonly ForwardSpec[];
  readonly numbers: {
    readonly leaseMs: number;
    readonly ttlMs: number;
    readonly idleMs: number;
    readonly graceMs: number;
    readonly maxRelays: number;
    readonly probeMs: number;
    readonly connections: number | undefined;
    readonly metricsPort: number | undefined;
  };
  readonly takeOver: AgentEngineOptions["forwarding"]["takeOver"];
  /** What is accepted as a hop's host key besides its declared ones. */
  readonly trustOf: (hop: DeclaredHop) => HopTrust;
  readonly judgeHostKey: JudgeHostKey;
}

/** The engine that the options ask for. */
export function chooseEngine(options: ForwardOptions, parts: EngineParts): SessionPlan["engine"] {
  const { identity, folder, audit, startDeadline, forwards, judgeHostKey, numbers } = parts;
  const { leaseMs, ttlMs, idleMs, graceMs, maxRelays, probeMs, connections, metricsPort } = numbers;
  const { allowAnyUser = false, allowUsers = [], remoteNode, onAgentLog } = options;
  const common = { identity, folder, audit, startDeadline };
  const openssh = {
    ...{ ...common, forwards, judgeHostKey, trustOf: parts.trustOf, allowAnyUser, leaseMs, ttlMs },
    onSshLog: onAgentLog,
  };
  const { makeEngine, bundle, bridge, runtime } = parts;
  const hello = { leaseMs, ttlMs, idleMs, graceMs, logLevel: options.logLevel ?? DEFAULTS.logLevel };
  const admission = { allowUsers: [...allowUsers], allowAnyUser };
  const forwarding = {
    ...{ forwards, judgeHostKey, maxRelays, connections, admission },
    ...{ probeMs: probeMs === 0 ? undefined : probeMs, takeOver: parts.takeOver },
  };
  const agent = { ...common, ...{ bundle, runtime, remoteNode, onAgentLog, hello, forwarding } };
  return (context) => {
    if (makeEngine !== undefined) return makeEngine({ agent, openssh }, context);
    if (options.engine === "openssh") return new OpensshEngine(openssh, context);
    if (bridge !== undefined) return new ResidentEngine({ ...agent, bridge, metricsPort }, context);
    return new AgentEngine(agent, context);
  };
}

import { resolve } from "node:path";
import { agentBundle } from "@farside/agent/bundle";
import { CodedError, MAX_HOP_CONNECTIONS, Scope } from "@farside/protocol";
import { AuditTrail } from "@farside/protocol/audit";
import type { HostConfig, Identity } from "@farside/ssh";
import { connectInTurn } from "./connect-in-turn.ts";
import { chooseEngine, type MakeEngine } from "./engine/choose-engine.ts";
import { checkOpensshOptions } from "./engine/openssh/check-options.ts";
import { rememberKey } from "./engine/openssh/remember-key.ts";
import type { EventLog } from "./event-log.ts";
import { DEFAULTS, type ForwardOptions } from "./forward-options.ts";
import { parseHopList } from "./hop-spec.ts";
import { parsePinnedKeys } from "./host-keys.ts";
import { openIdentity } from "./identity-choice.ts";
import { planJumpLogin } from "./jump-login.ts";
import { resolveSpec } from "./jump-route.ts";
import { lostRuns } from "./lost-runs.ts";
import { readForwards } from "./read-forwards.ts";
import { judgeReportedKey } from "./reported-host-key.ts";
import { chooseRuntime } from "./runtime/runtime-choice.ts";
import { SessionFolder } from "./session-folder.ts";
import { loginOf } from "./session-login.ts";
import { checkSessionName, generateSessionName } from "./session-name.ts";
import type { SessionPlan } from "./session-plan.ts";
import { inTurn, SessionTurn } from "./session-turn.ts";
import { SharedIdentity, type Sharer } from "./shared-identity.ts";
import { patientIdentity, StartDeadline } from "./start-deadline.ts";
import { stateFolder } from "./state-folder.ts";
import { offerKeys, resolveViaRoute, type ViaHop } from "./via-route.ts";

export interface PlanOptions {
  /** Makes another engine, for a session that opens no forward. */
  readonly makeEngine?: MakeEngine | undefined;
  /** In which the session logs in, released with it; default: one that waits for nobody. */
  readonly turn?: SessionTurn | undefined;
}

/**
 * Decides everything about a session: reads the options, ssh_config and known_hosts, opens the identity and takes the
 * session's name. Connects to nothing. What it opened is released by the session, or at once where it fails. Rejects with
 * `usage.invalid`, `config.invalid`, `identity.*`, `session.name-in-use` and what opening the identity rejects with.
 */
export async function planSession(
  options: ForwardOptions,
  log: EventLog,
  { makeEngine, turn = new SessionTurn() }: PlanOptions = {},
): Promise<SessionPlan> {
  const forwards = readForwards(options);
  if (forwards.length === 0 && makeEngine === undefined)
    throw new CodedError("usage.invalid", "there is no forward: give -L at least once");
  const name = options.name === undefined ? generateSessionName() : checkSessionName(options.name);
  const numbers = readNumbers(options);
  const isResident = options.reattach === true || options.detach === true;
  if (numbers.metricsPort !== undefined && !isResident) {
    throw new CodedError("usage.invalid", "a port for metrics needs --reattach or --detach", {
      hint: "The agent of a plain forward ends with its connection and has no such pages.",
    });
  }
  const runtime = chooseRuntime(options);
  const viaSpecs = parseHopList(options.via ?? [], "--via");
  if (options.engine === "openssh" && makeEngine === undefined)
    checkOpensshOptions(options, { forwardsSomething: true });
  const pinned = parsePinnedKeys(options.viaHostKeys ?? []);
  const { configFile, signal } = options;
  const onWarning = (message: string) => log.emit({ event: "warning", message });
  // Only starts to run with the session: before that, nobody but the operator is waited for.
  let start: StartDeadline | undefined;
  const [login] = await Promise.all([
    planJumpLogin(options, { onWarning, whileAsking: (wait) => start?.during(wait) ?? wait() }),
    // ssh answers for all hosts at the same time; a complaint is told where the answer is used.
    ...viaSpecs.map((spec) => resolveSpec(spec, { configFile, signal }).catch(() => {})),
  ]);
  const { configs, hostKeys, host } = login;
  const via = await resolveViaRoute(
    { via: viaSpecs, pinned, hostKeys, resolve: { configFile, signal } },
    login.jump,
  );
  const bundle = isResident
    ? (options.residentBundle ?? agentBundle(undefined, "resident-agent"))
    : (options.bundle ?? agentBundle());
  const bridge = isResident ? (options.bridgeBundle ?? agentBundle(undefined, "bridge")) : undefined;

  const scope = new Scope();
  try {
    scope.defer(() => turn.close());
    log.subscribe((event) => turn.hear(event));
    const opened = scope.use(
      await openFor(
        login.isBatch ? { ...options, passphrase: undefined } : options,
        [...via.map(({ config }) => config), ...configs],
        { session: name, emit: (event) => log.emit(event) },
      ),
    );
    const identity = inTurn(opened, turn);
    signal?.throwIfAborted();
    const root = options.stateFolder ?? stateFolder();
    // Before a dead session of the same name gives its folder up.
    const lost = await lostRuns(root, host);
    const folder = await SessionFolder.create(
      root,
      {
        ...{ name, jump: options.jump, host, login: loginOf(options), graceMs: numbers.graceMs },
        readyFile: options.readyFile && resolve(options.readyFile),
      },
      { onFailure: (error) => onWarning(`the session's state can't be kept: ${(error as Error).message}`) },
    );
    const onFailure = (error: unknown) =>
      onWarning(`the audit log can't be written: ${(error as Error).message}`);
    const audit = new AuditTrail({ folder: root, onFailure });
    const deadline = new StartDeadline(
      numbers.startTimeoutMs,
      `starting the session on ${host} took longer than ${numbers.startTimeoutMs / 1000} s`,
    );
    start = deadline;
    const patient = rememberKey(patientIdentity(identity, deadline));
    const engine = chooseEngine(options, {
      ...{ makeEngine, bridge },
      ...{ bundle, runtime, identity: patient, folder, audit, startDeadline: deadline },
      ...{ forwards, numbers },
      takeOver: { session: name, lostRuns: lost, isForced: options.takeOver ?? false },
      trustOf: ({ hopId }) => {
        const { pinned: pins, authorities } = viaOf(via, hopId);
        return { pins, authorities };
      },
      judgeHostKey: (hop, blob, judgeSignal, all) =>
        judgeReportedKey({
          via: viaOf(via, hop.hopId),
          ...{ blob, all },
          reportedBy: host,
          hostKeys,
          signal: judgeSignal,
        }),
    });
    return {
      ...{ name, host, forwards, folder, audit, startDeadline: deadline },
      ...{ leaseMs: numbers.leaseMs, ttlMs: numbers.ttlMs, graceMs: numbers.graceMs },
      connect: connectInTurn({ login, turn, identity, patient, deadline }),
      identityReady: (readySignal) => opened.ready({ signal: readySignal }),
      route: async (routeSignal) => {
        if (via.length === 0) return [];
        const keys = await patient.publicKeys({ signal: routeSignal });
        // Of several keys, the one that the jump host took is the likeliest to be taken behind it.
        const offered = options.engine === "openssh" ? patient.lastUsedFirst(keys) : keys;
        return offerKeys(via, offered).map(({ hop }) => hop);
      },
      keys: (keySignal) => patient.publicKeys({ signal: keySignal }),
      engine,
      ...{ respectSshdPolicy: options.respectSshdPolicy, readyFile: options.readyFile },
      endsWithoutCard: options.onCardRemoval === "close",
      release: () => scope.close(),
    };
  } catch (error) {
    await scope.close().catch(() => {});
    throw error;
  }
}

function readNumbers(options: ForwardOptions) {
  const read = (
    name:
      | (keyof ForwardOptions & keyof typeof DEFAULTS & `${string}${"Ms" | "maxRelays" | "connections"}`)
      | "metricsPort",
    min: number,
    max = Number.MAX_SAFE_INTEGER,
  ) => {
    const value = options[name] ?? (name === "metricsPort" ? 0 : DEFAULTS[name]);
    if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
    const range = max === Number.MAX_SAFE_INTEGER ? `at least ${min}` : `from ${min} to ${max}`;
    throw new CodedError("usage.invalid", `${name} must be a whole number, ${range}: ${value}`);
  };
  return {
    leaseMs: read("leaseMs", 1_000),
    // Left to itself without one, nothing would ever end the agent.
    ttlMs: read("ttlMs", options.detach === true ? 1 : 0),
    idleMs: read("idleMs", 0),
    graceMs: read("graceMs", 0),
    startTimeoutMs: read("startTimeoutMs", 1),
    maxRelays: read("maxRelays", 0),
    probeMs: options.probeMs === undefined || options.probeMs === 0 ? 0 : read("probeMs", 1_000),
    connections: options.connections === undefined ? undefined : read("connections", 1, MAX_HOP_CONNECTIONS),
    metricsPort: options.metricsPort === undefined ? undefined : read("metricsPort", 0, 65_535),
  };
}

/** The identity, as something that closing releases what was opened here. */
async function openFor(
  options: ForwardOptions,
  configs: readonly HostConfig[],
  sharer: Sharer,
): Promise<Identity> {
  const { identity: choice, passphrase, signal } = options;
  const config = configs.at(-1);
  if (typeof choice === "function" && config !== undefined) {
    return choice({ config, emit: sharer.emit, signal });
  }
  if (typeof choice === "function") throw new Error("an identity for no host");
  if (choice instanceof SharedIdentity) return choice.lend(sharer);
  const { identity, close } = await openIdentity({ choice, configs, passphrase });
  return {
    kind: identity.kind,
    publicKeys: (keyOptions) => identity.publicKeys(keyOptions),
    ready: (readyOptions) => identity.ready(readyOptions),
    sign: (request) => identity.sign(request),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function viaOf(via: readonly ViaHop[], hopId: string): ViaHop {
  const found = via.find(({ hop }) => hop.hopId === hopId);
  if (found === undefined) throw new Error(`no hop ${hopId}`);
  return found;
}

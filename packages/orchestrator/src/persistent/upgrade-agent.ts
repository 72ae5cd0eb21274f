import { setTimeout as wait } from "node:timers/promises";
import {
  CodedError,
  deadline,
  describeInstalled,
  type Installation,
  type InstalledConfig,
  type InstalledDescription,
  putBundle,
  upgradeInstalled,
} from "@farside/protocol";
import type { Identity } from "@farside/ssh";
import type { SessionEventDraft } from "../event-log.ts";
import type { BuildServer } from "./build-server.ts";
import { controlOf } from "./find-installation.ts";
import type { HostPeer } from "./host-peer.ts";
import { attachedHops, lend } from "./lend-identity.ts";

const POLL_INTERVAL_MS = 100;
/** The new agent takes over after a minute at the latest. */
const SERVE_TIMEOUT_MS = 90_000;

export interface UpgradeAgentOptions {
  readonly server: BuildServer;
  readonly installation: Installation;
  /** What this workstation signs for; undefined: nothing is lent. */
  readonly config: InstalledConfig | undefined;
  /** Opened only where a hop needs it. Borrowed. */
  readonly identity: () => Promise<Identity>;
  /** What open relays of the old process get. */
  readonly graceMs: number;
  readonly emit: (event: SessionEventDraft) => void;
  readonly signal: AbortSignal;
}

export type UpgradeResult =
  | { readonly outcome: "current"; readonly digest: string }
  | {
      readonly outcome: "upgraded";
      readonly digest: string;
      readonly pid: number;
      readonly description: InstalledDescription;
    };

/**
 * Has the agent's listeners handed over to this version's bundle. The new process serves only when its hops are there, so it is lent
 * the identity first, and nothing is refused meanwhile. Rejects with `agent.start-failed`; then the old one goes on.
 */
export async function upgradeAgent(options: UpgradeAgentOptions): Promise<UpgradeResult> {
  const { server, installation, config, graceMs, signal, emit } = options;
  const { name } = installation;
  const control = controlOf(installation, server.host);
  const { bundle, digest, isCurrent } = await server.installer.ask(putBundle, { name }, signal);
  await using old = await server.attach(control);
  if (isCurrent && old.hello.digest === digest) return { outcome: "current", digest };
  const needsIdentity = config !== undefined && attachedHops(config).length > 0;
  const identity = needsIdentity ? await options.identity() : undefined;
  const { pid, control: next } = await old.ask(upgradeInstalled, { bundle, graceMs }, signal);
  if (config === undefined || identity === undefined) {
    await using agent = await server.attach(next);
    return { outcome: "upgraded", digest, pid, description: await serving(agent, server.host, signal) };
  }
  await using loan = await lend({ ...{ server, control: next, config, identity, emit, signal } });
  return { outcome: "upgraded", digest, pid, description: await serving(loan.agent, server.host, signal) };
}

/** Resolves when the new process has taken over. Rejects with `agent.start-failed` where it ends instead. */
async function serving(agent: HostPeer, host: string, signal: AbortSignal): Promise<InstalledDescription> {
  const limit = deadline(SERVE_TIMEOUT_MS, `waiting for the new agent on ${host} to serve took too long`, {
    leg: "jump",
    signal,
  });
  try {
    for (;;) {
      const description = await agent.ask(describeInstalled, {}, limit.signal);
      if (description.isServing) return description;
      await wait(POLL_INTERVAL_MS, undefined, { signal: limit.signal });
    }
  } catch (error) {
    limit.signal.throwIfAborted();
    throw new CodedError(
      "agent.start-failed",
      `upgrading the agent on ${host}: the new one ended before it served`,
      {
        leg: "jump",
        hint: "The old one goes on. farside agent logs shows what the new one said.",
        cause: error,
      },
    );
  } finally {
    limit.release();
  }
}

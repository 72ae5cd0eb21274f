import {
  applyConfig,
  type ConfigDifference,
  configDifference,
  describeInstalled,
  type InstalledConfig,
  type ResultOf,
} from "@farside/protocol";
import type { HostPeer } from "./host-peer.ts";

export type AppliedConfig = ResultOf<typeof applyConfig>;

/** What applying `config` would change, going by what the agent does now. */
export async function differenceTo(
  agent: HostPeer,
  config: InstalledConfig,
  signal: AbortSignal,
): Promise<ConfigDifference> {
  const { config: before } = await agent.ask(describeInstalled, {}, signal);
  return configDifference(before, config);
}

/** Applies it: relays of forwards that are the same go on, those of others have `graceMs`. */
export async function applyForwards(
  agent: HostPeer,
  { config, graceMs }: { readonly config: InstalledConfig; readonly graceMs: number },
  signal: AbortSignal,
): Promise<AppliedConfig> {
  return agent.ask(applyConfig, { config, graceMs }, signal);
}

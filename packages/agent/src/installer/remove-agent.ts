import { rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { AgentPlaces } from "../installed/agent-folder.ts";
import type { InstallRecord } from "../installed/install-record.ts";
import { lockHolder } from "../installed/process-lock.ts";
import { unitName } from "../installed/unit-text.ts";
import type { ServiceManager } from "./service-manager.ts";

/** How long an agent has to end by itself: what a stop of its unit gives it. */
const STOP_TIMEOUT_MS = 20_000;

/** Stops the agent and removes all that was made for it. What is not there is no failure. Resolves with what was removed. */
export async function removeAgentAt(
  places: AgentPlaces,
  record: InstallRecord,
  manager: ServiceManager,
): Promise<string[]> {
  const { name, folder, unit } = places;
  if (record.supervisor === "systemd") {
    await manager.try("disable", "--now", unitName(name));
    await rm(unit, { force: true });
    await manager.try("daemon-reload");
    await manager.try("reset-failed", unitName(name));
  } else {
    // Its supervisor would start it again.
    await endHolder(places.supervisorLock);
    await endHolder(places.agentLock);
  }
  await rm(folder, { recursive: true, force: true });
  const enabled = path.join(places.unitFolder, "default.target.wants");
  for (const made of [enabled, ...[...record.folders].reverse()]) await rmdir(made).catch(() => undefined);
  return [folder, ...record.files];
}

async function endHolder(lock: string): Promise<void> {
  for (const [signal, ms] of [
    ["SIGTERM", STOP_TIMEOUT_MS],
    ["SIGKILL", 2_000],
  ] as const) {
    const holder = await lockHolder(lock);
    if (holder === undefined) return;
    try {
      process.kill(holder.pid, signal);
    } catch {
      return;
    }
    const until = performance.now() + ms;
    while ((await lockHolder(lock)) !== undefined && performance.now() < until) await wait(20);
  }
}

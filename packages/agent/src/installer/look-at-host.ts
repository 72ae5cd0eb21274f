import { createHash } from "node:crypto";
import { access, readdir, readFile, realpath } from "node:fs/promises";
import path from "node:path";
import {
  agentName,
  type HostLook,
  type Installation,
  type InstalledConfig,
  installedConfig,
} from "@farside/protocol";
import * as v from "valibot";
import type { HostFacts } from "../host-facts.ts";
import { type AgentPlaces, agentPlaces, type FolderFacts } from "../installed/agent-folder.ts";
import { type InstallRecord, readInstallRecord } from "../installed/install-record.ts";
import { lockHolder } from "../installed/process-lock.ts";
import { unitName } from "../installed/unit-text.ts";
import { readSurvivalFacts } from "../resident/survival.ts";
import type { ServiceManager } from "./service-manager.ts";

export interface LookOptions {
  readonly facts: HostFacts;
  readonly folders: FolderFacts;
  readonly manager: ServiceManager;
}

/** What is installed for this login, and what would run another agent. */
export async function lookAt(name: string, { facts, folders, manager }: LookOptions): Promise<HostLook> {
  const places = agentPlaces(name, folders);
  const [survival, isSystemd] = await Promise.all([readSurvivalFacts(facts), exists("/run/systemd/system")]);
  const { hasUserManager, isLingering } = survival;
  const names = await readdir(places.root).catch(() => []);
  const installed: Installation[] = [];
  for (const each of names.sort()) {
    if (!v.is(agentName, each)) continue;
    const found = await installationAt(agentPlaces(each, folders), manager);
    if (found !== undefined) installed.push(found);
  }
  return {
    user: facts.user,
    ...(isSystemd && hasUserManager
      ? { supervisor: "systemd" as const }
      : { supervisor: "daemon" as const, whyNot: whyNoManager(isSystemd) }),
    hasSystemd: isSystemd,
    isLingering,
    ...{ folder: places.folder, control: places.control },
    files: filesOf(places, isSystemd && hasUserManager ? "systemd" : "daemon"),
    installed,
  };
}

/** What installing makes, but for the bundle, whose name is its digest's. */
export function filesOf(places: AgentPlaces, supervisor: "systemd" | "daemon"): string[] {
  const { folder, program, start, config, record, control, log, supervisorLock, agentLock, unit } = places;
  return [
    ...[folder, program, start, config, record, control, agentLock],
    ...(supervisor === "systemd" ? [unit] : [log, supervisorLock]),
  ];
}

/** The agent in `places`; undefined where none was installed. */
export async function installationAt(
  places: AgentPlaces,
  manager: Pick<ServiceManager, "state">,
): Promise<Installation | undefined> {
  const record = await readInstallRecord(places);
  if (record === undefined || record.name !== places.name) return undefined;
  const { run, supervisor } = record;
  const own = await readdir(places.folder).catch(() => []);
  const { state, isRunning } = await stateOf(places, record, manager);
  const config = await readConfig(places);
  return {
    ...{ name: places.name, folder: places.folder, run, supervisor, state, isRunning },
    digest: await currentDigest(places),
    ...(config && { config }),
    files: [places.folder, ...own.map((file) => path.join(places.folder, file)), ...record.files],
  };
}

async function stateOf(
  places: AgentPlaces,
  { supervisor }: InstallRecord,
  manager: Pick<ServiceManager, "state">,
): Promise<{ state: string; isRunning: boolean }> {
  if (supervisor === "systemd") {
    const state = await manager.state(unitName(places.name));
    return { state, isRunning: state === "active" };
  }
  const supervised = await lockHolder(places.supervisorLock);
  const agent = await lockHolder(places.agentLock);
  const isRunning = agent !== undefined;
  const state =
    supervised === undefined ? (isRunning ? "running, without its supervisor" : "stopped") : "running";
  return { state, isRunning };
}

async function readConfig({ config }: AgentPlaces): Promise<InstalledConfig | undefined> {
  const text = await readFile(config, "utf8").catch(() => "null");
  try {
    const parsed = v.safeParse(installedConfig, JSON.parse(text));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}

/** Of the bundle that a restart takes; zeros where it is gone. */
async function currentDigest({ program }: AgentPlaces): Promise<string> {
  try {
    return createHash("sha256")
      .update(await readFile(await realpath(program)))
      .digest("hex");
  } catch {
    return "0".repeat(64);
  }
}

function whyNoManager(isSystemd: boolean): string {
  return isSystemd
    ? "the login has no manager of its services: it came without PAM's session, and lingering is off"
    : "there is no systemd";
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

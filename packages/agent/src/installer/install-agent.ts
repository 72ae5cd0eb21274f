import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, open, readFile, rm, symlink } from "node:fs/promises";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { CodedError, harmless, type InstalledConfig } from "@farside/protocol";
import { RUN_VARIABLE } from "../command/command-table.ts";
import type { HostFacts } from "../host-facts.ts";
import { type AgentPlaces, bundlePath } from "../installed/agent-folder.ts";
import type { InstallRecord } from "../installed/install-record.ts";
import { replaceFile } from "../installed/replace-file.ts";
import { START_TEXT } from "../installed/start-text.ts";
import { unitName, unitText } from "../installed/unit-text.ts";
import { writeFailure } from "../installed/write-failure.ts";
import { mallocEnvironment } from "../malloc-environment.ts";
import { pathExists } from "../path-exists.ts";
import { decideSurvival, readSurvivalFacts } from "../resident/survival.ts";
import { answers } from "../takeover/stale-socket.ts";
import { filesOf } from "./look-at-host.ts";
import { makeFolders } from "./make-folders.ts";
import { removeAgentAt } from "./remove-agent.ts";
import type { ServiceManager } from "./service-manager.ts";

const DAEMON_START_TIMEOUT_MS = 30_000;
/** sun_path of Linux, without its NUL. */
const MAX_SOCKET_PATH_BYTES = 107;
const LAST_WORDS = 5;

export interface InstallOptions {
  readonly places: AgentPlaces;
  readonly config: InstalledConfig;
  /** Marks its processes. */
  readonly run: string;
  readonly supervisor: "systemd" | "daemon";
  /** The agent's file, as it is run. */
  readonly bundle: Uint8Array;
  readonly facts: HostFacts;
  readonly manager: ServiceManager;
}

/** Makes everything that an agent needs, starts it, and resolves with the bundle's digest once it is ready. Undone where that fails. */
export async function installAgent(options: InstallOptions): Promise<string> {
  const { places, supervisor, config, run, facts } = options;
  if (Buffer.byteLength(`${places.control}.next`) > MAX_SOCKET_PATH_BYTES)
    throw new CodedError(
      "agent.unsupported-host",
      `installing the agent: ${places.control} is too long for a socket`,
      {
        leg: "jump",
        hint: "Set XDG_DATA_HOME to a shorter folder there, or give the agent a shorter name.",
      },
    );
  if (supervisor === "daemon") decideSurvival(await readSurvivalFacts(facts));
  const outside = filesOf(places, supervisor).filter((file) => !file.startsWith(places.folder));
  const wanted =
    supervisor === "systemd" ? [places.root, places.folder, places.unitFolder] : [places.root, places.folder];
  const folders = await makeFolders(wanted);
  const record: InstallRecord = {
    ...{ version: 1, name: places.name, run, supervisor, node: process.execPath, folders, files: outside },
  };
  try {
    await chmod(places.folder, 0o700);
    await replaceFile(places.record, `${JSON.stringify(record)}\n`);
    const digest = await putBundleAt(places, options.bundle);
    await replaceFile(places.config, `${JSON.stringify(config)}\n`);
    await replaceFile(places.start, START_TEXT);
    await rm(places.program, { force: true });
    await symlink(path.basename(bundlePath(places, digest)), places.program);
    await (supervisor === "systemd" ? startUnit(options) : startDaemon(options));
    return digest;
  } catch (error) {
    await removeAgentAt(places, record, options.manager);
    throw writeFailure(places.folder, error);
  }
}

/** Writes the bundle under the name of its digest and reads it back: what is on the disk is what will run. */
export async function putBundleAt(places: AgentPlaces, bundle: Uint8Array): Promise<string> {
  const digest = sha256(bundle);
  const file = bundlePath(places, digest);
  await replaceFile(file, bundle);
  if (sha256(await readFile(file)) === digest) return digest;
  await rm(file, { force: true });
  throw new CodedError(
    "agent.digest-mismatch",
    `writing ${file}: what was read back is not what was written`,
    {
      leg: "jump",
    },
  );
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function startUnit({ places, run, manager }: InstallOptions): Promise<void> {
  const { name, start, folder, unit } = places;
  const text = unitText({ name, node: process.execPath, command: [start, "serve", folder], run });
  await replaceFile(unit, text);
  await chmod(unit, 0o600);
  await manager.run("daemon-reload");
  await manager.try("reset-failed", unitName(name));
  const started = await manager.try("enable", "--now", unitName(name));
  if (started.code === 0) return;
  throw startFailed(name, (await manager.lastWords(unitName(name), LAST_WORDS)) || started.stderr);
}

async function startDaemon({ places, run }: InstallOptions): Promise<void> {
  const log = await open(places.log, "a", 0o600);
  try {
    spawn(process.execPath, [places.start, "supervise", places.folder], {
      ...{ cwd: "/", detached: true, stdio: ["ignore", log.fd, log.fd] },
      env: { ...mallocEnvironment, ...process.env, [RUN_VARIABLE]: run },
    }).unref();
  } finally {
    await log.close();
  }
  const until = performance.now() + DAEMON_START_TIMEOUT_MS;
  while (!((await pathExists(places.agentLock)) && (await answers(places.control)))) {
    if (performance.now() >= until) throw startFailed(places.name, await lastLines(places.log));
    await wait(50);
  }
}

function startFailed(name: string, said: string): CodedError {
  const words = harmless(said.trim().split("\n").slice(-LAST_WORDS).join(" | "), 1500);
  return new CodedError("agent.start-failed", `starting the agent ${name}: ${words || "it said nothing"}`, {
    leg: "jump",
    hint: "Everything that was made for it is removed again.",
  });
}

async function lastLines(file: string): Promise<string> {
  return (await readFile(file, "utf8").catch(() => "")).slice(-4000);
}

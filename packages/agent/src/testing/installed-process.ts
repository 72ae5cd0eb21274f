import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import type { InstalledConfig, InstalledForward } from "@farside/protocol";
import { bundlePath, type FolderPlaces, placesIn } from "../installed/agent-folder.ts";
import { START_TEXT } from "../installed/start-text.ts";
import { newRun } from "./new-run.ts";
import { Control, type ControlOptions } from "./resident-process.ts";

export const RUN = newRun();

const START_TIMEOUT_MS = 20_000;

/** An agent in a folder of its own, as an installer would have left it; disposing ends every process of it. */
export class InstalledUnderTest implements AsyncDisposable {
  readonly places: FolderPlaces;
  /** Path of the bundle that it starts with. */
  readonly bundle: string;
  log = "";
  readonly #controls: Control[] = [];
  #child: ChildProcess | undefined;

  static async put(bundle: string, config: InstalledConfig): Promise<InstalledUnderTest> {
    const root = await mkdtemp(path.join(os.tmpdir(), "fs-in-"));
    const places = placesIn(path.join(root, config.name));
    await mkdir(places.folder, { mode: 0o700 });
    const file = bundlePath(places, "1".repeat(64));
    await writeFile(file, await readFile(bundle));
    await chmod(file, 0o600);
    await symlink(path.basename(file), places.program);
    await writeFile(places.start, START_TEXT, { mode: 0o600 });
    await writeFile(places.config, JSON.stringify(config));
    const record = { version: 1, name: config.name, run: RUN, supervisor: "daemon", node: process.execPath };
    await writeFile(places.record, JSON.stringify({ ...record, folders: [], files: [] }));
    return new InstalledUnderTest(places, file);
  }

  private constructor(places: FolderPlaces, bundle: string) {
    this.places = places;
    this.bundle = bundle;
  }

  /** Starts it as its supervisor would, or the supervisor itself; resolves when it is ready. */
  async start({
    verb = "serve",
    node = process.execPath,
    env = {},
  }: StartOptions = {}): Promise<ChildProcess> {
    const child = spawn(node, [this.places.start, verb, this.places.folder], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, FARSIDE_RUN: RUN, FARSIDE_TEST_FOLDER: this.places.folder, ...env },
    });
    this.#child = child;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.log += text;
    });
    await this.#until(
      () => existsSync(this.places.agentLock),
      () => child.exitCode !== null,
    );
    return child;
  }

  /** Resolves when another process than `before` serves. */
  async restarted(before: number): Promise<void> {
    await this.#until(() => this.pid !== before);
  }

  async #until(isSo: () => boolean, isHopeless = () => false): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!isSo()) {
      if (isHopeless() || performance.now() > deadline) throw new Error(`it did not start: ${this.log}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** A control channel; disposed with this. */
  async control(options: ControlOptions = {}, socket = this.places.control): Promise<Control> {
    const carrier = net.connect(socket);
    await once(carrier, "connect");
    const control = await Control.over(carrier, options);
    this.#controls.push(control);
    return control;
  }

  /** Pid of the process that serves, by its lock. */
  get pid(): number {
    return (JSON.parse(readFileSync(this.places.agentLock, "utf8")) as { pid: number }).pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#controls.map((control) => control[Symbol.asyncDispose]()));
    for (const pid of processesOf(this.places.folder)) process.kill(pid, "SIGKILL");
    if (this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null)
      await once(this.#child, "exit");
    await rm(path.dirname(this.places.folder), { recursive: true, force: true });
  }
}

export interface StartOptions {
  readonly verb?: "serve" | "supervise";
  readonly node?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Live processes that were started for `folder`. A process title hides the arguments: its inherited environment tells. */
export function processesOf(folder: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        if (/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"))) return false;
        return readFileSync(`/proc/${pid}/environ`, "latin1").includes(`FARSIDE_TEST_FOLDER=${folder}\0`);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** A forward of 127.0.0.1 to a port there. */
export function keptForward(
  id: string,
  port: number,
  targetPort: number,
  changes: object = {},
): InstalledForward {
  return {
    id,
    bind: { kind: "tcp", address: "127.0.0.1", port },
    target: { kind: "tcp", host: "127.0.0.1", port: targetPort },
    route: [],
    identity: { kind: "attached" },
    admission: { allowUsers: [], allowAnyUser: false },
    ...{ maxRelays: 0, connections: 1, probeMs: 0 },
    ...changes,
  };
}

export function keptConfig(...forwards: InstalledForward[]): InstalledConfig {
  return { version: 1, name: "agent", forwards };
}

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import type net from "node:net";
import os from "node:os";
import path from "node:path";
import { openForward } from "@farside/protocol";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { type BuiltBundle, buildBundle, oldestNode } from "./build-bundle.ts";
import { forwardTo, type nodeVersions } from "./bundle-under-test.ts";
import { newRun } from "./new-run.ts";
import { Control, type ControlOptions, type LoadedProcess, load } from "./resident-process.ts";

/** The deploy's nonce of every agent here. */
export const RESIDENT_RUN = newRun();

/** Resident agents on that Node.js, for the tests of a file; each ends with its test. */
export function useResidentAgent(version: (typeof nodeVersions)[number]) {
  let bundles: { agent: BuiltBundle; bridge: BuiltBundle };
  let node: string;
  let runtimeFolder: string;
  let loaded: LoadedProcess[];
  let agents: number[];

  beforeAll(async () => {
    const [agent, bridge] = await Promise.all([buildBundle("resident-agent"), buildBundle("bridge")]);
    bundles = { agent, bridge };
    node = version === "this Node.js" ? process.execPath : await oldestNode();
  }, 150_000);
  afterAll(async () => {
    await Promise.all([bundles.agent[Symbol.asyncDispose](), bundles.bridge[Symbol.asyncDispose]()]);
  });
  beforeEach(async () => {
    runtimeFolder = await mkdtemp(path.join(os.tmpdir(), "fs-rt-"));
    loaded = [];
    agents = [];
  });
  afterEach(async () => {
    for (const { child } of loaded) child.kill("SIGKILL");
    for (const pid of agents) if (isAlive(pid)) process.kill(pid, "SIGKILL");
    await rm(runtimeFolder, { recursive: true, force: true });
  });

  const start = async (
    bundle: BuiltBundle,
    job: Readonly<Record<string, string>>,
  ): Promise<LoadedProcess> => {
    // As the bootstrap has it.
    const environment = { ...process.env, XDG_RUNTIME_DIR: runtimeFolder, FARSIDE_RUN: RESIDENT_RUN };
    const found = await load({ bundle: bundle.path, node, nonce: RESIDENT_RUN, job, environment });
    loaded.push(found);
    return found;
  };
  /** Starts the launcher alone. */
  const startLauncher = () => start(bundles.agent, { job: "launch", session: "test" });
  /** Starts the bridge alone. */
  const startBridge = (socket: string) => start(bundles.bridge, { control: socket });
  return {
    get runtimeFolder() {
      return runtimeFolder;
    },
    startLauncher,
    startBridge,
    /** Starts an agent, and is its orchestrator. */
    async launch(options: ControlOptions = { hello: {} }) {
      const launcher = await startLauncher();
      expect(launcher.status).toBe("bridge");
      const control = await Control.over(launcher.carrier, options);
      const { pid, resident } = await control.hello;
      agents.push(pid);
      return { launcher, control, pid, socket: resident?.control ?? "" };
    },
    /** Another channel to it. */
    async attach(socket: string, options: ControlOptions = { hello: {} }) {
      const bridge = await startBridge(socket);
      expect(bridge.status).toBe("bridge");
      return { bridge, control: await Control.over(bridge.carrier, options) };
    },
    async nothingLeft(pid: number) {
      await expect.poll(() => isAlive(pid)).toBe(false);
      expect(await readdir(runtimeFolder)).toEqual([]);
    },
  };
}

/** One that has ended and waits for whoever reaps orphans here is not alive. */
export function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

/** Opens a forward to `port`; its own. */
export async function openTo(control: Control, port: number): Promise<number> {
  const { bound } = await control.peer.request(openForward, forwardTo(port));
  return bound[0]?.kind === "tcp" ? bound[0].port : 0;
}

/** Says `text` and hears it back. */
export async function echo(socket: net.Socket, text: string): Promise<void> {
  socket.write(text);
  const [data] = await once(socket, "data");
  expect(String(data)).toBe(text);
}

import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { type OpenForwardParams, openForward } from "@farside/protocol";
import { afterAll, beforeAll } from "vitest";
import type { AgentProcess } from "./agent-process.ts";
import { buildBundle, oldestNode } from "./build-bundle.ts";
import { connect } from "./tcp.ts";

/** The Node.js versions that the bundle is tested on. */
export const nodeVersions = ["this Node.js", "the oldest Node.js"] as const;

/** What a file of tests shares; filled before the first test. */
export interface BundleUnderTest {
  /** Path of agent.cjs. */
  bundle: string;
  nodes: Record<(typeof nodeVersions)[number], string>;
  /** Removed after the last test. */
  folder: string;
}

export function useBundle(): BundleUnderTest {
  const shared: BundleUnderTest = {
    bundle: "",
    nodes: { "this Node.js": process.execPath, "the oldest Node.js": "" },
    folder: "",
  };
  let built: Awaited<ReturnType<typeof buildBundle>>;
  beforeAll(async () => {
    shared.folder = await mkdtemp(path.join(os.tmpdir(), "farside-agent-"));
    built = await buildBundle();
    shared.bundle = built.path;
    shared.nodes["the oldest Node.js"] = await oldestNode();
  }, 150_000);
  afterAll(async () => {
    await built[Symbol.asyncDispose]();
    await rm(shared.folder, { recursive: true, force: true });
  });
  return shared;
}

/** A forward from a free port of localhost to `port`. */
export function forwardTo(port: number, changes: Partial<OpenForwardParams> = {}): OpenForwardParams {
  return {
    forwardId: "1",
    bind: { kind: "loopback", port: 0 },
    target: { kind: "tcp", host: "127.0.0.1", port },
    route: [],
    admission: { allowUsers: [], allowAnyUser: false },
    maxRelays: 0,
    ...changes,
  };
}

/** Opens such a forward and returns its port. */
export async function open(
  agent: AgentProcess,
  port: number,
  changes: Partial<OpenForwardParams> = {},
): Promise<number> {
  const { bound } = await agent.peer.request(openForward, forwardTo(port, changes));
  return bound[0]?.kind === "tcp" ? bound[0].port : 0;
}

export const client = (port: number) => connect({ host: "127.0.0.1", port });

/** A client whose relay is open: its byte has come back. */
export async function relayed(port: number): Promise<net.Socket> {
  const socket = await client(port);
  socket.write("!");
  await once(socket, "data");
  return socket;
}

export async function isListening(port: number): Promise<boolean> {
  const socket = net.connect(port, "127.0.0.1");
  const answer = await Promise.race([
    once(socket, "connect").then(() => true),
    once(socket, "error").then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return answer;
}

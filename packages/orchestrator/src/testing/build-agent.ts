import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AgentBundle, agentBundle } from "@farside/agent/bundle";

export interface BuiltAgent extends AsyncDisposable {
  readonly bundle: AgentBundle;
  /** What a session with `reattach` or `detach` takes. */
  readonly residentBundle: AgentBundle;
  readonly bridgeBundle: AgentBundle;
}

/** The agent's bundle, made of the source as it is now, in a folder of its own. */
export async function buildAgent(): Promise<BuiltAgent> {
  const bundleAgents = await bundler();
  const folder = await mkdtemp(join(tmpdir(), "farside-agent-"));
  await bundleAgents(`${folder}/`);
  return {
    bundle: agentBundle(`${folder}/`),
    residentBundle: agentBundle(`${folder}/`, "resident-agent"),
    bridgeBundle: agentBundle(`${folder}/`, "bridge"),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Makes the bundle that the checkout's own programs take. */
export async function buildCheckoutAgent(): Promise<void> {
  const bundleAgents = await bundler();
  await bundleAgents();
}

async function bundler(): Promise<(folder?: string) => Promise<unknown>> {
  // The scripts are no part of the package: its own build knows nothing of them.
  const { href } = new URL("../../../../scripts/bundle.ts", import.meta.url);
  return ((await import(href)) as { bundleAgents(folder?: string): Promise<unknown> }).bundleAgents;
}

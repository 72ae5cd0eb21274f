import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AgentBundle, agentBundle, type BundleName } from "@farside/agent/bundle";

export interface BuiltAgent extends AsyncDisposable {
  readonly bundle: AgentBundle;
}

/** The agent's bundle, made of the source as it is now, in a folder of its own. */
export async function buildAgent(): Promise<BuiltAgent> {
  const { folder, ...built } = await build(["agent"]);
  return { ...built, bundle: agentBundle(folder) };
}

export interface BuiltResidentAgent extends BuiltAgent {
  /** What a session with `reattach` or `detach` takes. */
  readonly residentBundle: AgentBundle;
  readonly bridgeBundle: AgentBundle;
}

/** The same with the resident agent's. */
export async function buildResidentAgent(): Promise<BuiltResidentAgent> {
  const { folder, ...built } = await build(["agent", "resident-agent", "bridge"]);
  return {
    ...{ ...built, bundle: agentBundle(folder) },
    residentBundle: agentBundle(folder, "resident-agent"),
    bridgeBundle: agentBundle(folder, "bridge"),
  };
}

/** Makes the bundle that the checkout's own programs take. */
export async function buildCheckoutAgent(): Promise<void> {
  const bundleAgent = await bundler();
  await bundleAgent();
}

async function build(names: readonly BundleName[]): Promise<{ folder: string } & AsyncDisposable> {
  const bundleAgent = await bundler();
  const folder = await mkdtemp(join(tmpdir(), "farside-agent-"));
  await Promise.all(names.map((name) => bundleAgent(`${folder}/`, name)));
  return {
    folder: `${folder}/`,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

type BundleAgent = (folder?: string, name?: BundleName) => Promise<unknown>;

async function bundler(): Promise<BundleAgent> {
  // The scripts are no part of the package: its own build knows nothing of them.
  const { href } = new URL("../../../../scripts/bundle.ts", import.meta.url);
  return ((await import(href)) as { bundleAgent: BundleAgent }).bundleAgent;
}

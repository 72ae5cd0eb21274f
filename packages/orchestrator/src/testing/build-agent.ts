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

/** Makes the bundle that the checkout's own programs take, unless scripts/test has. */
export async function buildCheckoutAgent(): Promise<void> {
  if (process.env["FARSIDE_IS_BUILT"] === "yes") return;
  const { bundleAgent } = await script<{ bundleAgent: () => Promise<unknown> }>("bundle.ts");
  await bundleAgent();
}

async function build(names: readonly BundleName[]): Promise<{ folder: string } & AsyncDisposable> {
  const { bundleForTest } = await script<{ bundleForTest: BundleForTest }>("bundle-for-test.ts");
  const folder = await mkdtemp(join(tmpdir(), "farside-agent-"));
  await Promise.all(names.map((name) => bundleForTest(`${folder}/`, name)));
  return {
    folder: `${folder}/`,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

type BundleForTest = (folder: string, name: BundleName) => Promise<void>;

async function script<T>(name: string): Promise<T> {
  // The scripts are no part of the package: its own build knows nothing of them.
  const { href } = new URL(`../../../../scripts/${name}`, import.meta.url);
  return (await import(href)) as T;
}

import { chmod, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { BundleName } from "../bundle.ts";

/** The scripts are no part of the package: its own build knows nothing of them. */
async function script<T>(name: string): Promise<T> {
  const url = new URL(`../../../../scripts/${name}`, import.meta.url);
  return (await import(url.href)) as T;
}

export interface BuiltBundle extends AsyncDisposable {
  /** Path of NAME.cjs. */
  readonly path: string;
  readonly folder: string;
}

/** A bundle of the source as it is now, in a folder of its own. */
export async function buildBundle(name: BundleName = "agent"): Promise<BuiltBundle> {
  const { bundleForTest } = await script<{ bundleForTest(folder: string, name: string): Promise<void> }>(
    "bundle-for-test.ts",
  );
  const folder = await mkdtemp(path.join(os.tmpdir(), "farside-agent-"));
  // Agents of other users read it, too.
  await chmod(folder, 0o755);
  await bundleForTest(`${folder}/`, name);
  return {
    folder: `${folder}/`,
    path: path.join(folder, `${name}.cjs`),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Path of the oldest Node.js that the agent must run on. */
export async function oldestNode(): Promise<string> {
  return (await script<{ oldestNode(): Promise<string> }>("oldest-node.ts")).oldestNode();
}

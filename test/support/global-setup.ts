import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeCardKeys, READY_KEYS } from "../lab/card/card-keys.ts";

const checkout = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Builds what the end-to-end tests run, the command line and the agent's bundle (a stale build would test nothing), and makes
 * the RSA key that most labs' cards have: dozens of them, each made anew, would take a fifth of a second of CPU apiece.
 */
export default async function setup(): Promise<() => Promise<void>> {
  build();
  const folder = await mkdtemp(join(tmpdir(), "farside-card-keys-"));
  await makeCardKeys(join(folder, "rsa2048"), { "9a": "rsa2048" });
  process.env[READY_KEYS] = folder;
  return () => rm(folder, { recursive: true, force: true });
}

function build(): void {
  // Set by scripts/test, which has just built.
  if (process.env["FARSIDE_IS_BUILT"] === "yes") return;
  execFileSync("npm", ["run", "--silent", "build"], {
    cwd: checkout,
    stdio: ["ignore", "inherit", "inherit"],
  });
}

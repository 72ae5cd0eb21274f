/** The oldest Node.js that the agent must run on, for tests: fetched once from the npm registry and kept in node_modules/.cache. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** What the npm packages that carry Node's own builds have; npm checks only what the registry says. */
const builds: Readonly<Record<string, { readonly version: string; readonly integrity: string }>> = {
  "linux-x64": {
    version: "18.18.0",
    integrity:
      "sha512-L0xzAtQoDU7e+0IdJoA8mj4WaFbn/6o/Sm0tJy2SB3/LPyWgiajVgEy8/PtAQ2mi6ZM3SPb2GBal49hYCUE8aw==",
  },
  "linux-arm64": {
    version: "18.19.0",
    integrity:
      "sha512-3oVcZrhbtQmRPx7/57pXMQG/t11TM5ZjJxl8r/vo6pT3rAw6PQv7nhm1vxkgdflsuskgS/0PK5XZLI58yruy8g==",
  },
};
const FETCH_TIMEOUT_MS = 120_000;

const run = promisify(execFile);
const cache = fileURLToPath(new URL("../node_modules/.cache/farside/", import.meta.url));

/** Path of its binary. Rejects where there is no build for this platform, or no registry. */
export async function oldestNode(): Promise<string> {
  const platform = `${process.platform}-${process.arch}`;
  const build = builds[platform];
  if (build === undefined) throw new Error(`no build of the oldest Node.js for ${platform}`);
  const { version, integrity } = build;
  const folder = `${cache}node-${version}-${platform}`;
  const binary = `${folder}/package/bin/node`;
  if (await exists(binary)) return binary;
  await mkdir(cache, { recursive: true });
  const unfinished = await mkdtemp(`${folder}-`);
  try {
    const name = `node-${platform}@${version}`;
    await run("npm", ["pack", "--silent", "--pack-destination", unfinished, name], {
      cwd: unfinished,
      timeout: FETCH_TIMEOUT_MS,
    });
    const archive = `${unfinished}/node-${platform}-${version}.tgz`;
    const digest = createHash("sha512")
      .update(await readFile(archive))
      .digest("base64");
    if (`sha512-${digest}` !== integrity) throw new Error(`${name} is not the build that was pinned`);
    await run("tar", ["-xzf", archive, "-C", unfinished, "package/bin/node"]);
    await rm(archive);
    // Another test process may have been faster.
    await rename(unfinished, folder).catch(async (error) => {
      if (!(await exists(binary))) throw error;
    });
    return binary;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

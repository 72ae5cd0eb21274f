/** Node's own Linux builds for the runtime cells: fetched once from the npm registry and kept outside of the checkout. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, chmod, mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/** By the name that cells call them: the version, and what its npm package has to hold. */
const builds = {
  "16": [
    "16.20.2",
    "sha512-oxOhUQeRI8VP2S933KzppWoQTXE/bhs3rskxrAXQA0xfIoy+WqVx47oe6upUsCqORfvAHcbdf9k+1iFyZnceqQ==",
  ],
  "18": [
    "18.18.0",
    "sha512-L0xzAtQoDU7e+0IdJoA8mj4WaFbn/6o/Sm0tJy2SB3/LPyWgiajVgEy8/PtAQ2mi6ZM3SPb2GBal49hYCUE8aw==",
  ],
  "20": [
    "20.20.2",
    "sha512-PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ==",
  ],
  "22": [
    "22.23.3",
    "sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==",
  ],
  "24": [
    "24.21.0",
    "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
  ],
  "26": [
    "26.10.0",
    "sha512-OmAztarr1gK4PD+sNyoku4N5Q40d8eqMuLjNa/zRvxF33aCsVKVIQLs4V5HYPWSWWlMiTdkmbZE/6Phigma0hw==",
  ],
} as const satisfies Record<string, readonly [version: string, integrity: string]>;

/** What an arm64 host is sent; the same version as for x64. */
const ARM64 = [
  "22.23.3",
  "sha512-l3DAHZreylo+p9QXDtsOrjG2JXJqVzYXnAGmIQNOUNARcMppTO2cmewVQP+36tjJnSE+dzpMNtgW+c3oiDvXtA==",
] as const;

export type NodeMajor = keyof typeof builds;

export const nodeMajors = Object.keys(builds) as NodeMajor[];
export const nodeVersion = (major: NodeMajor): string => builds[major][0];

const FETCH_TIMEOUT_MS = 180_000;
const run = promisify(execFile);

/** Folder with `VERSION/bin/node` for each fetched build; lab hosts see the machine's /var, not its /root. */
export const nodeCache = "/var/cache/farside-matrix/nodes";

/** Makes sure that the builds are in `nodeCache`. Rejects where there is no registry, or for a machine that is not x64. */
export async function fetchNodes(majors: readonly NodeMajor[]): Promise<void> {
  if (process.arch !== "x64") throw new Error(`no pinned builds of Node.js for ${process.arch}`);
  for (const major of majors) await fetchNode(builds[major][0], builds[major][1]);
}

/** Makes sure that the arm64 build of what farside sends is at `arm64Node`. */
export async function fetchArm64Node(): Promise<void> {
  await fetchNode(...ARM64, "arm64");
}
export const arm64Node = `${nodeCache}/${ARM64[0]}-arm64/bin/node`;

async function fetchNode(version: string, integrity: string, arch: "x64" | "arm64" = "x64"): Promise<void> {
  const folder = join(nodeCache, arch === "x64" ? version : `${version}-${arch}`);
  if (await exists(join(folder, "bin/node"))) return;
  await mkdir(nodeCache, { recursive: true });
  const unfinished = await mkdtemp(`${folder}-`);
  try {
    const name = `node-linux-${arch}@${version}`;
    await run("npm", ["pack", "--silent", "--pack-destination", unfinished, name], {
      cwd: unfinished,
      timeout: FETCH_TIMEOUT_MS,
    });
    const archive = join(unfinished, `node-linux-${arch}-${version}.tgz`);
    const digest = createHash("sha512")
      .update(await readFile(archive))
      .digest("base64");
    if (`sha512-${digest}` !== integrity) throw new Error(`${name} is not the build that was pinned`);
    await run("tar", ["-xzf", archive, "-C", unfinished, "--strip-components=1", "package/bin/node"]);
    await rm(archive);
    // Every account of a lab host runs it.
    await chmod(unfinished, 0o755);
    // Another process may have been faster.
    await rename(unfinished, folder).catch(async (error) => {
      if (!(await exists(join(folder, "bin/node")))) throw error;
    });
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

/** File systems of other Debian releases, made once by debootstrap and kept outside of the checkout. */
import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { promisify } from "node:util";

const CACHE = "/var/cache/farside-matrix";
/** What a lab host needs: sshd, and ip for its cable. */
const PACKAGES = "openssh-server,iproute2";
const DEBOOTSTRAP_TIMEOUT_MS = 300_000;
const run = promisify(execFile);

/** Folder with the tree of `release`. Takes half a minute the first time; needs root, debootstrap and a Debian mirror. */
export async function debianRoot(release: string): Promise<string> {
  const folder = `${CACHE}/${release}`;
  if (await exists(`${folder}/usr/sbin/sshd`)) return folder;
  await mkdir(CACHE, { recursive: true });
  const unfinished = await mkdtemp(`${folder}-`);
  try {
    await run("debootstrap", ["--variant=minbase", `--include=${PACKAGES}`, release, `${unfinished}/root`], {
      timeout: DEBOOTSTRAP_TIMEOUT_MS,
      maxBuffer: 16 * 1024 * 1024,
    });
    await rename(`${unfinished}/root`, folder);
    return folder;
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

/** File systems of other Debian releases, made once by debootstrap and kept outside of the checkout. */
import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { promisify } from "node:util";

const CACHE = "/var/cache/farside-matrix";
/** What a lab host needs: sshd, and ip for its cable. */
const PACKAGES = "openssh-server,iproute2";
const DEBOOTSTRAP_TIMEOUT_MS = 300_000;
const run = promisify(execFile);

/** Newer packages for `release`, from Debian's own backports. */
const BACKPORTS = /^(?<base>\w+)-backports$/;
const ADD_BACKPORTS = `
echo "deb http://deb.debian.org/debian $2 main" > "$1/etc/apt/sources.list.d/backports.list"
cp /etc/resolv.conf "$1/etc/resolv.conf"
chroot "$1" apt-get -qq update
DEBIAN_FRONTEND=noninteractive chroot "$1" apt-get -qq -y install -t "$2" openssh-server
`;

/** Folder with the tree of `release`. Takes half a minute the first time; needs root, debootstrap and a Debian mirror. */
export async function debianRoot(release: string): Promise<string> {
  const folder = `${CACHE}/${release}`;
  if (await exists(`${folder}/usr/sbin/sshd`)) return folder;
  await mkdir(CACHE, { recursive: true });
  const base = BACKPORTS.exec(release)?.groups?.["base"];
  const from = base === undefined ? undefined : await debianRoot(base);
  const unfinished = await mkdtemp(`${folder}-`);
  const root = `${unfinished}/root`;
  try {
    const options = { timeout: DEBOOTSTRAP_TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 };
    if (from === undefined) {
      await run("debootstrap", ["--variant=minbase", `--include=${PACKAGES}`, release, root], options);
    } else {
      await run("cp", ["-a", from, root], options);
      await run("sh", ["-e", "-c", ADD_BACKPORTS, "sh", root, release], options);
    }
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

/** Small file systems that an account of the jump host is locked into: hosts of a kind that Debian's own tree can't be. */
import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { promisify } from "node:util";

const CACHE = "/var/cache/farside-matrix";
const PACKAGES = ["busybox-static", "musl"] as const;
const DOWNLOAD_TIMEOUT_MS = 120_000;
const run = promisify(execFile);

export const matrixCache = CACHE;
/** What Debian's packages `busybox-static` and `musl` hold; lab hosts see the machine's /var. */
export const packagesFolder = `${CACHE}/packages`;

export function fetchPackages(): Promise<void> {
  return fetchDebs(packagesFolder, PACKAGES);
}

/** Makes sure that `folder` holds what these packages do. Needs apt-get and a Debian mirror the first time. */
export async function fetchDebs(folder: string, packages: readonly string[]): Promise<void> {
  if (await exists(folder)) return;
  await mkdir(CACHE, { recursive: true });
  const unfinished = await mkdtemp(`${folder}-`);
  try {
    // apt's own user may not write to a folder of root's: it says so, and goes on as root.
    await run("apt-get", ["-qq", "-o", "APT::Sandbox::User=root", "download", ...packages], {
      cwd: unfinished,
      timeout: DOWNLOAD_TIMEOUT_MS,
    });
    await run("sh", ["-e", "-c", `for deb in *.deb; do dpkg -x "$deb" tree; done; chmod 755 tree`], {
      cwd: unfinished,
    });
    await rename(`${unfinished}/tree`, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

/** A tree at `root` in which /bin/bash is busybox's shell, with these applets and nothing else. */
const tree = (root: string, applets: string, more: string) => `
if [ ! -e ${root} ]; then
  mkdir -p ${root}/bin ${root}/lib ${root}/proc ${root}/dev ${root}/etc ${root}/home ${root}/var
  mkdir -m 1777 ${root}/tmp ${root}/var/tmp
  cp ${packagesFolder}/bin/busybox ${root}/bin/busybox
  for applet in ${applets}; do ln -s busybox ${root}/bin/$applet; done
  printf '#!/bin/sh\\nexec /bin/sh "$@"\\n' > ${root}/bin/bash; chmod 755 ${root}/bin/bash
  for device in null zero urandom; do : > ${root}/dev/$device; mount --bind /dev/$device ${root}/dev/$device; done
  mount -t proc proc ${root}/proc
  ${more}
  chown root:root ${root}; chmod 755 ${root}
fi`;

const POOR = "sh head sed uname id mkdir rm rmdir chmod grep cat sleep printf";

/** A host with glibc and next to no programs: no gzip, nothing that makes a SHA-256. */
export const poorGlibc = tree(
  "/srv/poor",
  POOR,
  `for file in $(ldd /usr/bin/node 2> /dev/null | grep -o '/[^ )]*') /lib64/ld-linux-x86-64.so.2; do
    mkdir -p "/srv/poor$(dirname "$file")"; [ -e "/srv/poor$file" ] || cp -L "$file" "/srv/poor$file";
  done`,
);

/** A host with musl alone, as Alpine is. */
export const muslHost = tree(
  "/srv/musl",
  `${POOR} gzip gunzip sha256sum`,
  `cp ${packagesFolder}/lib/*-linux-musl/libc.so "/srv/musl/lib/ld-musl-$(uname -m).so.1"; chmod 755 /srv/musl/lib/*`,
);

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

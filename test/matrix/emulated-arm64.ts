/** An arm64 host on a machine that is none: Debian's own arm64 packages, each program run by qemu. */
import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { promisify } from "node:util";
import { fetchDebs, matrixCache } from "./chroots.ts";

const ROOT = `${matrixCache}/bookworm-arm64`;
const QEMU = `${matrixCache}/qemu`;
const DEBOOTSTRAP_TIMEOUT_MS = 300_000;
const run = promisify(execFile);

/** Makes sure that the tree and qemu are there. Takes half a minute the first time; needs root, debootstrap and a Debian mirror. */
export async function fetchArm64(): Promise<void> {
  await fetchDebs(QEMU, ["qemu-user-static"]);
  const isThere = await access(ROOT).then(
    () => true,
    () => false,
  );
  if (isThere) return;
  const unfinished = await mkdtemp(`${ROOT}-`);
  try {
    // Unpacked and not set up: nothing of it has to run for that.
    const args = ["--arch=arm64", "--foreign", "--variant=minbase", "bookworm", `${unfinished}/root`];
    await run("debootstrap", args, { timeout: DEBOOTSTRAP_TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 });
    // It leaves a link to the machine's own there.
    await rm(`${unfinished}/root/proc`);
    await mkdir(`${unfinished}/root/proc`);
    await rename(`${unfinished}/root`, ROOT);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

export const ARM64_FOLDER = "/srv/arm64";

/** Run by root on the jump host: that tree, with nothing but /tmp to write to. */
export const arm64Tree = `
if [ ! -e ${ARM64_FOLDER} ]; then
  mkdir -p ${ARM64_FOLDER}; mount --bind ${ROOT} ${ARM64_FOLDER}; mount -o remount,bind,ro ${ARM64_FOLDER}
  mount -t tmpfs -o mode=1777 tmpfs ${ARM64_FOLDER}/tmp; mount -t tmpfs -o mode=1777 tmpfs ${ARM64_FOLDER}/var/tmp
  mount -t proc proc ${ARM64_FOLDER}/proc
fi`;

/** As Debian's qemu-user-static registers it: magic and mask of an ELF file for aarch64. */
const MAGIC = "\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00";
const MASK = `${"\\xff".repeat(7)}\\x00${"\\xff".repeat(8)}\\xfe${"\\xff".repeat(3)}`;

/**
 * A command that runs another in a user namespace of its own (the same users), in which the kernel gives programs for
 * aarch64 to qemu: a registration outside of it would be for the whole machine. Needs Linux 6.7.
 */
export const underEmulation: readonly string[] = [
  "bash",
  "-e",
  "-c",
  // Its root is none to the network, which is the host's.
  `echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
go=$(mktemp -u); mkfifo "$go"
unshare --user --mount sh -e -c '
  read -r x < "$0"
  mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
  printf %s "$1" > /proc/sys/fs/binfmt_misc/register
  shift; exec "$@"' "$go" ':qemu-aarch64:M::${MAGIC}:${MASK}:${QEMU}/usr/bin/qemu-aarch64-static:OCF' "$@" & child=$!
while [ "$(readlink /proc/$child/ns/user)" = "$(readlink /proc/$$/ns/user)" ]; do sleep 0.01; done
echo 0 0 65536 > /proc/$child/uid_map; echo 0 0 65536 > /proc/$child/gid_map
echo > "$go"; rm "$go"; wait $child`,
  "bash",
];

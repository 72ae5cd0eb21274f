import type { Trait } from "./cell.ts";

/** A file system of its own with what the home has already, and then no room. */
const tiny = (options: string, fill: string) => `
cp -a "$home/." "/srv/home-$user"; files=$(find "$home" | wc -l)
mount -t tmpfs -o uid="$(id -u "$user")",mode=0700,${options} tiny "$home"
cp -a "/srv/home-$user/." "$home"; rm -rf "/srv/home-$user"; ${fill}`;

/** What is wrong with the account's home, or with the folders that a program may expect. */
/** The folders that a runtime may be put into, but the home. */
const elsewhere = "/tmp /var/tmp /dev/shm";
const eachOf = (folders: string, commands: string) => `for m in ${folders}; do ${commands}; done`;
const noexecMount = 'mount --bind "$m" "$m"; mount -o remount,bind,noexec "$m"';

export const homes = {
  usual: { name: "writable" },
  readOnly: { name: "read-only", setUp: `mount --bind "$home" "$home"; mount -o remount,bind,ro "$home"` },
  missing: { name: "missing", setUp: `rm -rf "$home"` },
  noexec: {
    name: "noexec",
    setUp: `mount --bind "$home" "$home"; mount -o remount,bind,noexec,nosuid,nodev "$home"`,
  },
  full: {
    name: "on a full disk",
    setUp: tiny("size=64k", `head -c 1M /dev/zero > "$home/fill" 2> /dev/null || :`),
  },
  noInodes: {
    name: "over quota (no inode left)",
    setUp: tiny("size=1m,nr_inodes=$((files + 1))", `: > "$home/last"`),
  },
  closed: { name: "mode 0000", setUp: `chmod 0000 "$home"` },
  others: { name: "somebody else's", setUp: `chown -R root:root "$home"; chmod 755 "$home"` },
  noTmp: {
    name: "no usable /tmp",
    host: {
      before: "mount -t tmpfs -o mode=0000,ro closed /tmp",
      after: "umount /tmp",
    },
  },
  noShm: {
    name: "no /dev/shm",
    host: {
      before: "umount /dev/shm; rmdir /dev/shm",
      after: "mkdir /dev/shm; mount -t tmpfs -o mode=1777 shm /dev/shm",
    },
  },
  hidepid: {
    name: "/proc with hidepid=2",
    host: { before: "mount -o remount,hidepid=2 /proc", after: "mount -o remount,hidepid=0 /proc" },
  },
  onlyHomeExecutes: {
    name: "/tmp, /var/tmp and /dev/shm noexec",
    host: { before: eachOf(elsewhere, noexecMount), after: eachOf(elsewhere, 'umount "$m"') },
  },
  noexecHost: {
    name: "every folder that users may write to is noexec",
    host: {
      before: eachOf(`/home ${elsewhere}`, noexecMount),
      after: eachOf(`/home ${elsewhere}`, 'umount "$m"'),
    },
  },
  fullHost: {
    name: "every folder that users may write to is full",
    host: {
      before: eachOf(`/home ${elsewhere}`, 'mount -t tmpfs -o size=8m,mode=1777 small "$m"'),
      after: eachOf(`/home ${elsewhere}`, 'umount "$m"'),
    },
  },
  readOnlyHost: {
    name: "every folder that users may write to is read-only",
    host: {
      before:
        "for m in /home /tmp /var/tmp /run /dev/shm; do mount --bind $m $m; mount -o remount,bind,ro $m; done",
      after: "for m in /home /tmp /var/tmp /run /dev/shm; do umount $m; done",
    },
  },
} as const satisfies Record<string, Trait>;

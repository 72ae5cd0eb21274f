/**
 * What PID 1 of a lab host runs. It lives in namespaces of its own, so every mount, interface and process of the host
 * ends with it, and it ends with its standard input: when the process that holds the other end of that pipe is gone,
 * however it went, the kernel takes the whole host down. A shell is enough: it also reaps what daemons leave to it.
 */

/** Facts that the init script gets in its environment. */
export interface HostInitFacts {
  /** Empty folder of this host on the machine: mount points and layers go there, in the host's own mount namespace. */
  readonly folder: string;
  readonly hostname: string;
  /** The tree that the host's file system is laid over. */
  readonly lowerRoot: string;
  readonly checkout: string;
  /** Whether the host sees the checkout (read-only); elsewhere an empty folder hides it. */
  readonly seesCheckout: boolean;
  /** Folder of the machine that the host sees under the same path, writable; empty for none. */
  readonly shared: string;
  /** Accounts `name:uid:shell`, separated by spaces. */
  readonly accounts: string;
  /** The machine's node, put at /usr/local/bin/node where the host's usual PATH has none. */
  readonly node: string;
  /** Whether the host runs an sshd. */
  readonly sshd: boolean;
  /** What runs as PID 1: a shell that does nothing, or Debian's systemd, with logind, journald and users' managers. */
  readonly init?: "shell" | "systemd" | undefined;
}

/** Prints `ready PID` (the init's pid as the machine sees it), waits for the line `go`, then serves until end of input. */
export const HOST_INIT = String.raw`
set -e
read -r machine_pid _ < /proc/self/stat
layers=$FOLDER/layers root=$FOLDER/root
mkdir -p "$layers" "$root"
mount -t tmpfs -o mode=0755 layers "$layers"
mkdir "$layers/upper" "$layers/work"
mount -t overlay overlay -o "lowerdir=$LOWER_ROOT,upperdir=$layers/upper,workdir=$layers/work" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
# The machine's root may have rc files; bash reads them for bash -c too where its input is a socket.
mount -t tmpfs -o mode=0700 home "$root/root"
mount -t tmpfs -o mode=0755 dev "$root/dev"
for device in null zero full random urandom tty; do
  : > "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"; ln -s fd/1 "$root/dev/stdout"; ln -s fd/2 "$root/dev/stderr"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
if [ "$INIT" = systemd ]; then
  # Its own part of the machine's processes (see systemd-init.ts), as the whole of what it sees.
  mount -t sysfs -o ro sysfs "$root/sys"
  mount -t tmpfs -o mode=0755 cgroup "$root/sys/fs/cgroup"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
fi
mkdir -p "$root$CHECKOUT"
if [ "$SEES_CHECKOUT" = yes ]; then
  mount --bind "$CHECKOUT" "$root$CHECKOUT"
  mount -o remount,bind,ro "$root$CHECKOUT"
  # And where every account can reach it, whoever's home it is in.
  mkdir -p "$root/srv/farside"
  mount --bind "$root$CHECKOUT" "$root/srv/farside"
else
  mount -t tmpfs -o mode=0755,ro hidden "$root$CHECKOUT"
fi
if [ -n "$SHARED" ]; then
  mkdir -p "$root$SHARED"
  mount --bind "$SHARED" "$root$SHARED"
fi
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
if ! PATH=$path chroot "$root" /bin/sh -c 'command -v node' > /dev/null; then
  mkdir -p "$root/usr/local/bin"
  : > "$root/usr/local/bin/node"
  mount --bind "$NODE" "$root/usr/local/bin/node"
fi
export PATH=$path machine_pid root
# Mounts of its own once more, to leave the machine's root in them for good (a chroot could not make user namespaces).
# The process that waits for this one stays behind, where the layers can be seen.
exec unshare --mount bash -c '
  cd "$root" && pivot_root . . && umount --lazy . && cd / &&
  exec env -i PATH="$PATH" MACHINE_PID="$machine_pid" NAME="$NAME" ACCOUNTS="$ACCOUNTS" SSHD="$SSHD" INIT="$INIT" \
    /bin/bash -c "$INSIDE"
'
`;

/** The second half, run in the host's own root. */
export const HOST_INSIDE = `
set -e
cd /
hostname "$NAME"
ip link set lo up
# Names are looked up here and nowhere else, whatever the machine has (in a container these files are mounts).
rm -f /etc/hosts /etc/resolv.conf
printf '%s\\n' "127.0.0.1 localhost" "::1 localhost ip6-localhost ip6-loopback" "127.0.1.1 $NAME" > /etc/hosts
: > /etc/resolv.conf
mkdir -m 700 -p /root/.ssh
mkdir -m 755 -p /run/sshd /run/user /run/pcscd
for account in $ACCOUNTS; do
  IFS=: read -r name uid shell <<< "$account"
  echo "$name:x:$uid:$uid::/home/$name:$shell" >> /etc/passwd
  echo "$name:x:$uid:" >> /etc/group
  echo "$name:*:19000:0:99999:7:::" >> /etc/shadow
  mkdir -p "/home/$name"
  cp -r /etc/skel/. "/home/$name/" 2> /dev/null || true
  mkdir -m 700 -p "/home/$name/.ssh"
  : > "/home/$name/.ssh/authorized_keys"
  chmod 600 "/home/$name/.ssh/authorized_keys"
  chown -R "$uid:$uid" "/home/$name"
done
if [ "$SSHD" = yes ]; then
  mkdir -p /etc/ssh
  rm -f /etc/ssh/ssh_host_*
  ssh-keygen -q -t ed25519 -N '' -C '' -f /etc/ssh/ssh_host_ed25519_key
  ssh-keygen -q -t ecdsa -N '' -C '' -f /etc/ssh/ssh_host_ecdsa_key
fi
if [ "$INIT" = systemd ]; then
  rm -f /etc/machine-id /var/lib/dbus/machine-id
  tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id
  mkdir -p /etc/systemd/system /etc/systemd/journald.conf.d
  # What this machine would start besides; the lab has its own network, names, clock and sshd.
  for unit in systemd-networkd.service systemd-networkd.socket systemd-resolved.service systemd-timesyncd.service \
    systemd-udevd.service systemd-udev-trigger.service pcscd.socket pcscd.service ssh.service ssh.socket \
    haproxy.service cron.service e2scrub_reap.service getty.target timers.target $(cd /etc/systemd/system/multi-user.target.wants
    2> /dev/null && ls); do
    case $unit in dbus.* | systemd-logind.* | remote-fs.target) continue ;; esac
    ln -sf /dev/null "/etc/systemd/system/$unit"
  done
  # As Debian has it: users read their own journal only where it is kept in files.
  mkdir -p -m 2755 /var/log/journal
  printf '[Journal]\\nStorage=persistent\\nRateLimitBurst=0\\n' > /etc/systemd/journald.conf.d/lab.conf
  # How long a manager stays behind its user's last login: 10 s.
  mkdir -p /etc/systemd/logind.conf.d
  printf '[Login]\\nUserStopDelaySec=1s\\n' > /etc/systemd/logind.conf.d/lab.conf
  echo "ready $MACHINE_PID"
  exec env -i container=lab PATH="$PATH" /lib/systemd/systemd --system --unit=multi-user.target --log-target=journal \
    > /dev/null 2>&1 < /dev/null
fi
echo "ready $MACHINE_PID"
while read -r _; do :; done
`;

export function initEnvironment(facts: HostInitFacts): Record<string, string> {
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    // Its input is a socket: where no shell is above it, bash would read the machine's ~/.bashrc first.
    SHLVL: "1",
    INSIDE: HOST_INSIDE,
    FOLDER: facts.folder,
    NAME: facts.hostname,
    LOWER_ROOT: facts.lowerRoot,
    CHECKOUT: facts.checkout,
    SEES_CHECKOUT: facts.seesCheckout ? "yes" : "no",
    SHARED: facts.shared,
    ACCOUNTS: facts.accounts,
    NODE: facts.node,
    SSHD: facts.sshd ? "yes" : "no",
    INIT: facts.init ?? "shell",
  };
}

import type { Trait } from "./cell.ts";
import { muslHost, poorGlibc } from "./chroots.ts";
import { ARM64_FOLDER, arm64Tree } from "./emulated-arm64.ts";

const respect = ["--respect-sshd-policy"];

/** What sshd_config and authorized_keys say about the login. */
export const policies = {
  usual: { name: "Debian's own" },
  oneSession: { name: "MaxSessions 1", sshd: ["MaxSessions 1"] },
  noSession: { name: "MaxSessions 0", sshd: ["MaxSessions 0"] },
  noForwarding: {
    name: "AllowTcpForwarding no",
    sshd: ["AllowTcpForwarding no", "AllowStreamLocalForwarding no"],
  },
  noForwardingRespected: {
    name: "AllowTcpForwarding no, --respect-sshd-policy",
    sshd: ["AllowTcpForwarding no"],
    args: respect,
  },
  forwardingRespected: { name: "forwarding allowed, --respect-sshd-policy", args: respect },
  permitOpenRespected: {
    name: "PermitOpen of the target alone, --respect-sshd-policy",
    sshd: ["PermitOpen 127.0.0.1:7000"],
    args: respect,
  },
  permitOpenElsewhereRespected: {
    name: "PermitOpen of another target, --respect-sshd-policy",
    sshd: ["PermitOpen 192.0.2.1:22"],
    args: respect,
  },
  disableForwarding: { name: "DisableForwarding yes", sshd: ["DisableForwarding yes"] },
  disableForwardingRespected: {
    name: "DisableForwarding yes, --respect-sshd-policy",
    sshd: ["DisableForwarding yes"],
    args: respect,
  },
  noTty: { name: "PermitTTY no", sshd: ["PermitTTY no"] },
  restrict: { name: "restrict in authorized_keys", keyOptions: "restrict " },
  restrictRespected: {
    name: "restrict in authorized_keys, --respect-sshd-policy",
    keyOptions: "restrict ",
    args: respect,
  },
  noForwardingKey: {
    name: "no-port-forwarding,no-pty in authorized_keys",
    keyOptions: "no-port-forwarding,no-pty ",
  },
  keyCommand: { name: "command=… in authorized_keys", keyOptions: 'command="/bin/date" ' },
  keyFrom: { name: "from= another address in authorized_keys", keyOptions: 'from="192.0.2.1" ' },
  forceDate: { name: "ForceCommand /bin/date", sshd: ["ForceCommand /bin/date"] },
  forceFails: {
    name: "ForceCommand that fails and says why",
    sshd: ["ForceCommand echo 'only backups here' >&2; exit 4"],
  },
  forceSftp: { name: "ForceCommand internal-sftp", sshd: ["ForceCommand internal-sftp"] },
  forceCat: { name: "ForceCommand /bin/cat", sshd: ["ForceCommand /bin/cat"] },
  forceSilent: {
    name: "ForceCommand that never answers",
    sshd: ["ForceCommand sleep 60"],
    leaves: /sleep 60/,
  },
  forceWrapper: {
    name: "ForceCommand that runs the command it was asked for",
    sshd: [`ForceCommand /bin/sh -c "$SSH_ORIGINAL_COMMAND"`],
  },
  chroot: {
    name: "ChrootDirectory without a shell",
    setUp: "mkdir -p /srv/empty; chown root:root /srv/empty; chmod 755 /srv/empty",
    sshd: ["ChrootDirectory /srv/empty"],
  },
  poorChroot: {
    name: "ChrootDirectory with glibc and busybox, without gzip and sha256sum",
    setUp: poorGlibc,
    sshd: ["ChrootDirectory /srv/poor"],
  },
  muslChroot: {
    name: "ChrootDirectory with musl and busybox",
    setUp: muslHost,
    sshd: ["ChrootDirectory /srv/musl"],
  },
  arm64Chroot: {
    name: "ChrootDirectory with Debian 12 for arm64",
    setUp: arm64Tree,
    sshd: [`ChrootDirectory ${ARM64_FOLDER}`],
  },
  noSftp: { name: "no sftp subsystem" },
  rekey: { name: "RekeyLimit 100K", sshd: ["RekeyLimit 100K"] },
  clientAlive: { name: "ClientAliveInterval 1", sshd: ["ClientAliveInterval 1", "ClientAliveCountMax 1"] },
  refused: {
    name: "AuthenticationMethods that a key is not enough for",
    sshd: ["AuthenticationMethods publickey,password", "PasswordAuthentication yes"],
  },
} as const satisfies Record<string, Trait>;

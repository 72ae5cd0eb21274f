import type { CodedError, ErrorCode } from "./errors.ts";

/**
 * What to do about each error, in one line, for where the place that failed has no better hint. The workstation alone needs them: they
 * are no part of the agent. docs/errors.md is checked against them.
 */
const remedies: Readonly<Record<Exclude<ErrorCode, "canceled">, string>> = {
  "usage.invalid": "Look at the part that the message names; farside COMMAND --help has an example.",
  "config.invalid": "Change the option or the line of ssh_config that the message names.",
  "card.module-not-found": "Install OpenSC, or give the module with --pkcs11-provider.",
  "card.no-reader": "Plug the reader in; check that pcscd runs.",
  "card.no-token": "Insert the card; farside card list shows what is there.",
  "card.no-key": "farside card keys shows the keys; choose with --key.",
  "card.pin-wrong": "Start again with the right PIN. farside never tries a PIN twice by itself.",
  "card.pin-locked": "Unlock the card with its PUK, with the vendor's tool.",
  "card.pin-last-try": "Start it on a terminal and say yes, or reset the tries with the PUK first.",
  "card.pin-unavailable": "Use a terminal, SSH_ASKPASS or --pin-source.",
  "card.busy": "Start fewer sessions at a time: at most 1,000 wait, and 100 of one session.",
  "card.removed": "Put it back and start again.",
  "card.hung": "Take the card out and put it back; restart pcscd if that does not help.",
  "card.crashed": "Start again; if it stays so, update the module.",
  "card.failed": "The message has the module's own code; farside card test shows which step it is.",
  "identity.none": "Give one with --identity.",
  "identity.key-unreadable": "Check the file's path, mode and format.",
  "identity.passphrase-wrong": "Start again with the right one.",
  "identity.agent-unavailable": "Check SSH_AUTH_SOCK, and ssh-add -l.",
  "host-key.unknown": "Compare the fingerprint with one that you trust, then add the key to known_hosts.",
  "host-key.changed":
    "Find out why before anything else: it may be an attack. If the host is new, replace the line in known_hosts.",
  "host-key.revoked": "Do not go on; ask who runs the host.",
  "host-key.certificate-invalid":
    "ssh-keygen -Lf of the host's certificate shows its principals and its time; ask who runs the host, or add its own key to known_hosts.",
  "host-key.declined": "Start again and accept it, if the fingerprint is right.",
  "hop.unreachable": "Check name, port, network and firewall, as seen from the place that the message names.",
  "hop.handshake-failed":
    "Check that an SSH server answers there, takes more connections (MaxStartups, PerSourcePenalties) and shares algorithms with farside.",
  "hop.auth-refused":
    "Check the user name, and that the key is in the host's authorized_keys (farside card keys prints the line).",
  "hop.no-signature": "Do not trust that host: whoever answers there lets anybody in.",
  "hop.lost": "Start again; look at the network and the host's log.",
  "hop.channel-refused": "Check the account's restrictions (command=, MaxSessions) in the host's sshd.",
  "hop.needs-signature": "A session that was left with --detach can't log in to a hop anew. Start it again.",
  "sign.refused":
    "The jump host asked for something that the card must not sign. If you did not expect it, distrust the jump host.",
  "agent.no-runtime":
    "Let farside send one (--runtime auto, --runtime-file), install Node.js 18.18 or newer there, or name it with --remote-node.",
  "agent.runtime-too-old":
    "Let farside send one, install Node.js 18.18 or newer there, or name it with --remote-node.",
  "agent.unsupported-host":
    "The message names what was found, or what can't be written there (a full disk, a quota, a read-only file system); the jump host must be Linux. A Node.js is only sent to x86_64 and aarch64 with glibc 2.28 or newer.",
  "agent.command-refused":
    "The message has what it did instead: a ForceCommand, a command= in authorized_keys, a restricted or nologin shell, an rc file that exits.",
  "agent.digest-mismatch": "Start again; if it stays so, something on the way changes what is sent.",
  "agent.start-failed": "The message has what the host printed.",
  "agent.would-not-survive":
    "The message says what is in the way; mostly lingering is to be turned on there, as root: loginctl enable-linger USER.",
  "agent.not-installed": "farside agent status HOST lists them; --name says which one is meant.",
  "agent.gone": "Start again; look at the network and at limits on the account.",
  "engine.no-ssh": "Install openssh-client there, or leave out --engine openssh.",
  "engine.ssh-too-old": "Nothing was signed. Update openssh-client there, or leave out --engine openssh.",
  "engine.forwarding-refused":
    "Look at AllowAgentForwarding and DisableForwarding in its sshd_config, and at no-agent-forwarding and restrict in authorized_keys.",
  "protocol.no-preamble":
    "What the host printed tells why: an rc file that ends the shell, a forced command, an account without a shell.",
  "protocol.version": "Use the same farside version on both ends.",
  "protocol.bad-message": "Use the same version on both ends; if it is the same, distrust the jump host.",
  "forward.bind-refused": "Take a port above 1023, and an address that the jump host has.",
  "forward.port-in-use":
    "The message names the holder where it can be known, and of farside its session: --take-over, or tear that one down; or the installed agent: farside agent apply or uninstall. Else take another port, or 0 for a free one.",
  "forward.forbidden-by-policy":
    "Ask the host's administrator, or leave out --respect-sshd-policy: the agent does not need sshd's forwarding.",
  "forward.not-found": "This is a bug: please report it.",
  "target.unreachable": "Check that the service listens, seen from the last hop.",
  "target.forbidden":
    "Look at AllowTcpForwarding and PermitOpen in its sshd_config, and at permitopen in authorized_keys.",
  "command.not-found":
    "Give its path, or look at PATH on the host that runs it: that of ssh JUMP printenv PATH.",
  "command.not-runnable": "Look at its permissions, and at how long its arguments are.",
  "lease.expired": "The workstation slept or the link was down; start again, or give a longer --lease.",
  "session.not-found": "farside status lists them.",
  "session.name-in-use": "Take another --name, or tear the other one down.",
  "session.limit-reached": "Start again, or give a longer limit.",
  "teardown.leftovers": "The receipt lists what; farside teardown tries again.",
  "audit.broken": "The message names the line; docs/audit.md says what it can mean.",
  "output.lost": "Look at where stdout goes: a disk that is full, mostly.",
  timeout: "The message says which; try again.",
  internal:
    "This is a bug: please report it, with the command that led to it and the output of --log-level debug.",
};

/** The hint of `error`: its own, else what is to be done about its code. Undefined where it was the operator's wish. */
export function hintFor({ code, hint }: Pick<CodedError, "code" | "hint">): string | undefined {
  return hint ?? (code === "canceled" ? undefined : remedies[code]);
}

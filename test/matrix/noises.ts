import type { Noise } from "./cell.ts";

/** `text` in every language, for what they all spell alike. */
const alike = (text: string): NonNullable<Noise["rc"]> => ({ posix: text, fish: text, csh: text });

/** Time of day, for the login's programs alone; how time passes stays as it is. */
const clock = (offset: string) => ({
  env: {
    LD_PRELOAD: "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    ...{ FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: "1" },
  },
  leaves: /^\/dev\/shm\/(?:sem\.)?faketime/,
});

/** Whatever runs node has the last word before the agent: a `node` in the home that says `late`, in printf's words, a second later. */
const lateWords = (late: string) => ({
  setUp: `mkdir -p "$home/bin"; cat > "$home/bin/node" <<'END'
#!/bin/sh
[ "$1" = -v ] && exec node "$@"
( sleep 1; printf '${late}' ) &
exec node "$@"
END
chmod 755 "$home/bin/node"`,
  args: ["--remote-node", "$home/bin/node"],
});

/** What rc files, banners and messages of the day do to a login that runs one command. */
export const noises = {
  quiet: { name: "none" },
  prints: {
    name: "rc prints to stdout, no newline at the end",
    rc: {
      posix: 'echo "Welcome to $(hostname)"; printf "no newline"',
      fish: 'echo "Welcome to (hostname)"; printf "no newline"',
      csh: "echo Welcome to `hostname`; echo -n 'no newline'",
    },
  },
  printsToStderr: {
    name: "rc prints to stderr",
    rc: {
      posix: "echo 'stty: standard input: not a tty' >&2",
      fish: "echo 'stty: standard input: not a tty' >&2",
      csh: 'sh -c "echo not a tty >&2"',
    },
  },
  motd: {
    name: "rc prints /etc/motd with colours",
    rc: alike("cat /etc/motd; printf '\\033[31mred\\033[0m\\007'"),
  },
  banner: { name: "Banner of sshd", sshd: ["Banner /etc/ssh/matrix-banner"] },
  sleeps: { name: "rc sleeps 3 s", rc: alike("sleep 3") },
  fails: {
    name: "rc fails (unknown command, syntax error)",
    rc: {
      posix: "no-such-command; cd /nonexistent; false; eval 'if then'",
      fish: "no-such-command; cd /nonexistent; false",
      csh: "cd /nonexistent",
    },
  },
  exits: { name: "rc exits with 3", rc: alike("exit 3") },
  readsLine: {
    name: "rc reads a line of stdin",
    rc: { posix: "read -r answer", fish: "read answer", csh: "set answer = $<" },
  },
  readsAll: { name: "rc reads all of stdin (cat)", rc: alike("cat > /dev/null") },
  writesLate: {
    name: "rc leaves a process that prints to stdout",
    rc: {
      posix: "( while sleep 0.3; do printf 'late \\033[2Jnews\\n'; done ) &",
      fish: "sh -c 'while sleep 0.3; do echo late news; done' &",
      csh: "sh -c 'while sleep 0.3; do echo late news; done' &",
    },
  },
  writesLateToStderr: {
    name: "rc leaves a process that prints to stderr",
    rc: alike("sh -c 'while sleep 0.3; do echo late news >&2 || exit; done' &"),
    leaves: /late news|sleep 0\.3/,
  },
  staysOpen: {
    name: "rc leaves a silent process that keeps stdout open",
    rc: alike("sleep 600 &"),
    leaves: /sleep 600/,
  },
  detaches: {
    name: "rc starts a daemon (ssh-agent)",
    rc: { posix: 'eval "$(ssh-agent -a /dev/shm/agent-$USER)"' },
    leaves: /ssh-agent|^\/dev\/shm\/agent-m\d+$/,
  },
  strays: { name: "bytes after the preamble", ...lateWords("stray \\033]0;title\\007 bytes") },
  strayBytes: { name: "three bytes after the preamble, in no line", ...lateWords("ok\\n") },
  much: { name: "rc prints 60 KiB", rc: { posix: "head -c 61440 /dev/zero | tr '\\0' x" } },
  tooMuch: { name: "rc prints 1 MiB", rc: { posix: "head -c 1048576 /dev/zero | tr '\\0' x" } },
  binary: { name: "rc prints 30 KiB of random bytes", rc: { posix: "head -c 30720 /dev/urandom" } },
  endless: { name: "rc prints without end", rc: { posix: "yes noise" } },
  bashEnv: {
    name: "BASH_ENV that prints",
    setUp: `echo 'echo from BASH_ENV' > "$home/env.sh"`,
    env: { BASH_ENV: "$home/env.sh" },
  },
  execsShell: { name: "rc runs exec zsh", rc: { posix: "exec zsh" } },
  emptyPath: { name: "rc empties PATH", rc: { posix: "export PATH=" } },
  nodeOptions: {
    name: "NODE_OPTIONS that no node takes",
    env: { NODE_OPTIONS: "--no-such-option", NODE_DEBUG: "net", NODE_V8_COVERAGE: "/nonexistent" },
  },
  preload: { name: "LD_PRELOAD of a missing library", env: { LD_PRELOAD: "/nonexistent/lib.so" } },
  umask: { name: "umask 0777", rc: { posix: "umask 0777", csh: "umask 777", fish: "umask 0777" } },
  fewFiles: { name: "ulimit -n 40", rc: { posix: "ulimit -n 40" } },
  fewProcesses: { name: "ulimit -u 40", rc: { posix: "ulimit -u 40" } },
  tooFewProcesses: { name: "ulimit -u 4", rc: { posix: "ulimit -u 4" } },
  smallFiles: { name: "ulimit -f 1 MiB", rc: { posix: "ulimit -f 2048" } },
  littleMemory: { name: "ulimit -v 500 MiB", rc: { posix: "ulimit -v 512000" } },
  clockBehind: { name: "clock a year behind", ...clock("-365d") },
  clockAhead: { name: "clock a year ahead", ...clock("+365d") },
  elsewhere: {
    name: "rc goes into a folder and removes it",
    rc: { posix: "mkdir -p /dev/shm/d-$USER; cd /dev/shm/d-$USER; rmdir /dev/shm/d-$USER" },
  },
  exitTrap: {
    name: "rc prints before and at its end (trap EXIT)",
    rc: { posix: "echo before; trap 'echo after' EXIT" },
  },
} as const satisfies Record<string, Noise>;

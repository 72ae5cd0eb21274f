import {
  LEAVE_A_LOST_FOLDER,
  markedCommand,
  NEWLINES_FOR_RC_FILES,
  RUN_VARIABLE,
  SHELL_MARK,
} from "../../bootstrap.ts";
import { onOneLine } from "../../loader.ts";

/** What the supervisor says begins with this, the nonce, and a colon. */
export const SUPERVISOR_MARK = "farside-ssh:";

/**
 * Reads the supervisor from stdin, where what passes through no login shell may hold any character, and becomes it.
 * `$1$2` is the nonce.
 */
const LOADER = onOneLine(`
unset BASH_ENV ENV;
echo "${SHELL_MARK}$1$2";
while IFS= read -r line; do if [ "$line" = "farside-supervisor $1$2" ]; then break; fi; done;
IFS= read -r script || exit 70;
eval "$script"
`);

/**
 * POSIX sh. First it tells what is there; then it gets one line, which sets the words of ssh(1) and is evaluated; then ssh
 * runs until it ends by itself, stdin ends or says anything but "beat" or "kill SIGNAL GROUP", a signal comes, or no "beat" has come for
 * `$lease` seconds. Three processes watch each other: the shell waits for ssh, `listen` reads stdin, `watch` counts the
 * lease with a sleep that each beat starts anew. Whichever of them is killed, ssh ends. `watch` itself says "started": a beat before it
 * hears them would kill it.
 *
 * What was forked a moment ago has its parent's traps until it puts its own in their place, and loses a signal that comes before. So
 * ssh is not only told to end but killed a second later, whatever the shell waits for meanwhile; and the shell has a trap for beats
 * only for `watch` not to die of one that comes too early.
 *
 * The forwarded agent's socket is found by the pid of our sshd, as an rc file may have put another agent's into
 * SSH_AUTH_SOCK, and is removed as soon as nothing is to be signed any more, with its folder where that is empty (from OpenSSH
 * 10.1 on it is ~/.ssh/agent): only sshd's own, never somebody else's.
 * Behind a dead link sshd would keep it: then our login's sshd is ended too, when it is our parent and our user's.
 */
const SUPERVISOR = onOneLine(`
nonce=$1$2; trap '' PIPE; ${LEAVE_A_LOST_FOLDER}
PATH=\${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin; export PATH; SHELL=/bin/sh; export SHELL;
say() { echo "${SUPERVISOR_MARK}$nonce:$*"; };
ssh=$(command -v ssh) || { say no-ssh; exit 69; };
say "version $("$ssh" -V 2>&1 </dev/null | head -n 1)";
parent=$PPID; read -r a b c parent rest </proc/$$/stat;
sock=; for p in /tmp/ssh-*/agent.$parent; do if [ -S "$p" ] && [ -O "$p" ]; then sock=$p; fi; done;
case \${sock:-$SSH_AUTH_SOCK} in
  /tmp/ssh-*/agent.$parent | */.ssh/agent/s.*.sshd.*) sock=\${sock:-$SSH_AUTH_SOCK}; FARSIDE_SOCKET=$sock; export FARSIDE_SOCKET ;;
  *) unset FARSIDE_SOCKET; sock=$SSH_AUTH_SOCK ;;
esac;
if [ -S "$sock" ]; then SSH_AUTH_SOCK=$sock; export SSH_AUTH_SOCK; say "socket $sock"; else say no-socket; fi;
if [ -r /proc/net/if_inet6 ]; then
  while read -r a rest; do case $a in 00000000000000000000000000000001) say ipv6 ;; esac; done </proc/net/if_inet6;
fi;
for t in /proc/net/tcp /proc/net/tcp6; do
  if [ -r "$t" ]; then sed -n "s/^ *[0-9]*: \\([0-9A-F]*:[0-9A-F]*\\) [0-9A-F:]* 0A .*/${SUPERVISOR_MARK}$nonce:listens \\1/p" "$t"; fi;
done;
say facts;
is_free() { if [ -e "$1" ] || [ -L "$1" ]; then say "taken $1"; forget_agent; exit 69; fi; };
unlink_socket() { if [ -S "$1" ] && [ -O "$1" ]; then rm -f -- "$1"; fi; };
forget_agent() {
  if [ -n "$FARSIDE_SOCKET" ]; then
    rm -f -- "$FARSIDE_SOCKET"; rmdir "\${FARSIDE_SOCKET%/*}" 2>/dev/null;
  fi;
};
after() { trap 'kill $s; exit' TERM; sleep "$1" & s=$!; wait $s; shift; "$@"; };
after 60 kill -TERM $$ </dev/null >/dev/null 2>&1 & k=$!;
IFS= read -r line; kill $k;
case $line in "ssh "*) eval "\${line#ssh }" ;; *) forget_agent; say end; exit 0 ;; esac;
exec 3<&0 4>&2 </dev/null 2>/dev/null;
S=$$; c=; end=; k=;
finish() {
  end=$1;
  if [ -n "$c" ]; then
    kill -TERM $c;
    if [ -z "$k" ]; then after 1 kill -KILL $c >/dev/null & k=$!; fi;
  fi;
};
trap 'finish stop' TERM HUP INT; trap 'finish lease' ALRM;
watch() {
  trap beat=1 USR1; trap 'kill $s; exit' TERM HUP INT;
  say "started $c";
  while :; do
    beat=; sleep "$lease" & s=$!; wait $s;
    if [ -z "$beat" ]; then break; fi;
    kill $s; wait $s;
  done;
  kill -ALRM $S || kill -TERM $c;
};
listen() {
  while IFS= read -r line; do 
    case $line in
      beat) kill -USR1 $w || break ;;
      "kill "*) set -- $line; kill "-$2" "-$3" ;;
      *) break ;;
    esac;
  done;
  kill -TERM $S || kill -TERM $c $w;
};
sweep() {
  for f in $(echo "$nonce" | grep -lsF -f - /proc/[0-9]*/environ); do
    p=\${f#/proc/}; p=\${p%%/*};
    if [ "$p" != $S ] && [ -O "/proc/$p" ]; then kill "-$1" "$p"; swept=1; fi;
  done;
};
"$ssh" "$@" 2>&4 3<&- 4>&- & c=$!;
trap : USR1;
watch 3<&- 4>&- & w=$!;
listen <&3 3<&- 4>&- & r=$!;
exec 3<&- 4>&-;
if [ -n "$end" ]; then finish $end; fi;
wait $c; status=$?;
if [ -z "$end" ]; then say "exit $status"; fi;
trap : TERM HUP INT ALRM;
kill $w $r; finish $end; wait $c;
kill -KILL $k $w $r; wait $k $w $r;
swept=; sweep TERM;
n=0; while [ -n "$swept" ] && [ $n -lt 10 ]; do sleep 0.1 || sleep 1; n=$((n + 1)); swept=; sweep CONT; done;
if [ -n "$swept" ]; then sweep KILL; fi;
unlink_sockets; forget_agent;
say end;
if [ "$end" = lease ]; then
  read -r a b c parent rest </proc/$$/stat; read -r name </proc/$parent/comm; read -r title </proc/$parent/cmdline;
  case $name:$title in sshd*:sshd*': '*@*) if [ -O /proc/$parent ]; then kill -TERM $parent; fi ;; esac;
fi;
exit 0
`);

/** What ssh(1) runs once every listener is open: nobody needs the agent any more. */
export const ON_LISTENING = onOneLine(`
echo "${SUPERVISOR_MARK}$${RUN_VARIABLE}:listening";
if [ -n "$FARSIDE_SOCKET" ]; then rm -f "$FARSIDE_SOCKET"; rmdir "\${FARSIDE_SOCKET%/*}" 2>/dev/null; fi
`);

export interface SupervisorStart {
  /** Command line for the exec request. */
  readonly command: string;
  /** To be written behind it at once. */
  readonly input: string;
}

/** What starts the supervisor of the session with `nonce`. */
export function supervisorStart(nonce: string): SupervisorStart {
  return {
    command: markedCommand(nonce, LOADER),
    input: `${NEWLINES_FOR_RC_FILES}farside-supervisor ${nonce}\n${SUPERVISOR}\n`,
  };
}

export interface SshStart {
  /** The words behind `ssh`. */
  readonly words: readonly string[];
  /** Variables in its environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Paths of sockets that it will listen on. */
  readonly sockets: readonly string[];
  readonly leaseS: number;
}

/** The line that the supervisor gets when it has told what is there. */
export function sshLine({ words, environment, sockets, leaseS }: SshStart): string {
  const statements = [
    ...sockets.map((path) => `is_free ${quoted(path)}`),
    `unlink_sockets() { ${sockets.map((path) => `unlink_socket ${quoted(path)}; `).join("")}:; }`,
    `lease=${leaseS}`,
    ...Object.entries(environment).map(([name, value]) => `${name}=${quoted(value)}; export ${name}`),
    `set -- ${words.map(quoted).join(" ")}`,
  ];
  return `ssh ${statements.join("; ")}\n`;
}

/** A command for sh that runs `ssh` with `words`. */
export function sshCommand(words: readonly string[]): string {
  return `exec ssh ${words.map(quoted).join(" ")}`;
}

/** One word of sh. Throws a plain Error for what no line can hold. */
export function quoted(word: string): string {
  if (/[\n\0]/.test(word))
    throw new Error(`a word that no line can hold: ${JSON.stringify(word.slice(0, 80))}`);
  return `'${word.replaceAll("'", "'\\''")}'`;
}

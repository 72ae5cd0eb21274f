import { randomBytes } from "node:crypto";
import { CodedError } from "@farside/protocol";
import { LOADER, onOneLine } from "./loader.ts";

/** Oldest Node.js that runs the agent. */
export const MIN_AGENT_NODE = "18.18";
/** Environment variable by which every process of a deploy is recognised, children included; its value is the nonce. */
export const RUN_VARIABLE = "FARSIDE_RUN";

/** What the script prints first, in the noise before the preamble: the login did run our command. */
export const SHELL_MARK = "farside-shell:";

/** The login's folder may be gone, where many programs will not start. dash's `pwd -P` says so by printing nothing only. */
export const LEAVE_A_LOST_FOLDER = '[ -n "$(pwd -P 2>/dev/null)" ] || cd "$HOME" 2>/dev/null || cd /;';

/**
 * Makes every process of the deploy from here on known by its environment, the search for a Node.js too: `$1$2` is the
 * nonce, `$3` the script that goes on.
 */
const MARK = onOneLine(`
${RUN_VARIABLE}=$1$2; export ${RUN_VARIABLE}; script=$3; a=$1; b=$2; shift 3;
exec /bin/sh -c "$script" farside "$a" "$b" "$@"
`);

/**
 * Where the login may have few processes (`ulimit -u`), tries whether there is room for Node's threads, which count as such: without,
 * Node waits for them for ever, before it has run a line, and nothing that its stdin or this side says would end it. This and
 * what follows stands in double quotes: without a dollar.
 */
const ROOM_FOR_THREADS = [
  "sub room{1while(wait()>0);print(q(farside-preamble:),@ARGV[3],q(:loader-failed:no room for the threads of Node.js (ulimit -u)),chr(10));exit(70)}",
  "open(L,q(/proc/self/limits))&&grep(/^Max processes +[0-9]{1,4} /,<L>)&&do{map{(fork()//room())||exit}(1..6);1while(wait()>0)}",
  "close(L);",
].join(";");

/** Opens what Node can't, a socket that asks the kernel whose connections are (NETLINK_SOCK_DIAG, not blocking), and leaves its number in the environment. */
const SOCKET_FOR_AGENT =
  "socket(S,16,3|2048,4)&&bind(S,pack(q(SSLL),16,0,0,0))&&fcntl(S,2,0)&&(@ENV{FARSIDE_SOCK_DIAG}=fileno(S));";

/** Becomes the command of its arguments, whatever came of the others. */
const BECOME = "delete(@ENV{PERL_BADLANG});exec(@ARGV);exit(71)";

/**
 * Finds a Node.js and becomes it: `$1$2` is the nonce (in halves, so that a shell that echoes the command line prints
 * no preamble), `$3` the bundle's digest, `$4` a path that the operator chose or nothing, `$5` the loader, `$7` the argument for the bundle or nothing. A node on
 * PATH that is new enough is taken; else the newest that version managers and usual folders have. `exec` keeps sshd
 * the agent's parent. `$6` is what to do without one: nothing, or `wait` for an order on stdin behind the bundle and what was sent with it, which is thrown away
 * (see runtime-scripts.ts); with `order` nothing is looked for. Same characters as the loader, for the same reason.
 */
const SCRIPT = onOneLine(`
unset NODE_OPTIONS NODE_V8_COVERAGE NODE_COMPILE_CACHE NODE_DEBUG BASH_ENV ENV;
${LEAVE_A_LOST_FOLDER}
nonce=$1$2; best=; top=0; old=; bad=;
echo "${SHELL_MARK}$nonce";
more=$6;
say() { echo "farside-preamble:$nonce:$1"; exit "$2"; };
none() {
  if [ -z "$more" ]; then say "$1" 69; fi;
  case $(echo abc | head -c 2 2>/dev/null) in ab) ;; *) say "$1" 69 ;; esac;
  while IFS= read -r line; do case $line in "farside-bundle $nonce "*) break ;; esac; done;
  line=\${line#"farside-bundle $nonce "}; head -c $((\${line%% *} + \${line##* })) >/dev/null 2>&1;
  echo "farside-preamble:$nonce:waiting:$1";
};
look() {
  [ -f "$1" ] && [ -x "$1" ] || return 1;
  v=$("$1" -v </dev/null 2>/dev/null) || { bad="$bad,$1"; return 1; };
  v=\${v##*v}; a=\${v%%.*}; r=\${v#*.}; b=\${r%%.*}; c=\${r#*.}; c=\${c%%-*};
  { [ "$a" -ge 0 ] && [ "$b" -ge 0 ] && [ "$c" -ge 0 ]; } 2>/dev/null || { bad="$bad,$1"; return 1; };
  if [ "$a" -lt 18 ] || { [ "$a" -eq 18 ] && [ "$b" -lt 18 ]; }; then
    old="$old,$a.$b.$c=$1"; return 1;
  fi;
  rank=$((a * 1000000 + b * 1000 + c));
  if [ "$rank" -gt "$top" ]; then top=$rank; best=$1; fi;
};
if [ "$more" = order ]; then :;
elif [ -n "$4" ]; then
  case $4 in
    "~/"*) look "$HOME/\${4#??}" ;;
    */*) look "$4" ;;
    *) look "$(command -v "$4")" ;;
  esac;
else
  look "$(command -v node)" || look "$(command -v nodejs)" || for n in
    "\${NVM_DIR:-$HOME/.nvm}"/versions/node/*/bin/node
    "\${FNM_DIR:-$HOME/.local/share/fnm}"/node-versions/*/installation/bin/node
    "$HOME"/.fnm/node-versions/*/installation/bin/node
    "\${VOLTA_HOME:-$HOME/.volta}"/tools/image/node/*/bin/node
    "\${ASDF_DATA_DIR:-$HOME/.asdf}"/installs/nodejs/*/bin/node
    "\${MISE_DATA_DIR:-$HOME/.local/share/mise}"/installs/node/*/bin/node
    "\${N_PREFIX:-/usr/local}"/bin/node /usr/local/n/versions/node/*/bin/node "$HOME"/n/bin/node
    "$HOME"/.local/bin/node "$HOME"/bin/node "$HOME"/node*/bin/node
    /usr/local/bin/node /usr/bin/node /usr/bin/nodejs /opt/node*/bin/node /usr/local/lib/nodejs/*/bin/node
    /usr/local/node*/bin/node /snap/bin/node /opt/homebrew/bin/node /home/linuxbrew/.linuxbrew/bin/node;
  do look "$n"; done;
fi;
if [ -z "$best" ]; then
  if [ -n "$old" ]; then none "node-too-old:\${old#,}";
  elif [ -n "$bad" ]; then none "no-node:\${bad#,}";
  else none no-node; fi;
  IFS= read -r order && eval "$order";
  exit 69;
fi;
ulimit -S -c 0 2>/dev/null;
perl=/usr/bin/perl;
if [ -x $perl ] && [ -z "$PERL5OPT" ]; then
  export PERL_BADLANG=0; socket="${SOCKET_FOR_AGENT}";
  if [ -n "$7" ]; then socket=; fi;
  exec $perl -f -e "${ROOM_FOR_THREADS}\${socket}${BECOME}" "$best" -e "$5" "$nonce" "$3" \${7:+"$7"};
fi;
exec "$best" -e "$5" "$nonce" "$3" \${7:+"$7"};
say loader-failed:exec 70
`);

/** Written before the bundle, for rc files of the login that read stdin. */
export const NEWLINES_FOR_RC_FILES = "\n".repeat(64);

export interface Bootstrap {
  /** 128 bit, hex. Marks the preamble, the bundle and every process of this deploy. Not a secret. */
  readonly nonce: string;
  /** Command line for the exec request. Parses the same in sh, bash, dash, zsh, ksh, fish and tcsh. */
  readonly command: string;
  /** Bytes to write to the exec channel right behind the request, without waiting for anything. */
  readonly upload: Buffer;
}

export interface BootstrapOptions {
  /** The agent as one file, brotli-compressed. */
  readonly compressed: Uint8Array;
  /** SHA-256 of `compressed`, hex. */
  readonly digest: string;
  /** Path of the node to use on the jump host (`~/` is the login's home), or its name on PATH. Default: search. */
  readonly remoteNode?: string | undefined;
  /** Frames for the agent that go with the bundle; see `encodeOpening`. Default: none. */
  readonly opening?: Uint8Array | undefined;
  /** Without a Node.js, wait for an order; `order`: look for none. Default: end. */
  readonly withoutNode?: "wait" | "order" | undefined;
  /** Hex digits, for a bundle with several jobs. Default: none. */
  readonly argument?: string | undefined;
  /** 32 hex digits; default: random. */
  readonly nonce?: string | undefined;
}

/** Makes the command line and the upload of one deploy. Throws `config.invalid` for a node path that no shell could take. */
export function bootstrap(options: BootstrapOptions): Bootstrap {
  const {
    compressed,
    digest,
    remoteNode = "",
    withoutNode = "",
    argument = "",
    opening = Buffer.alloc(0),
    nonce = newNonce(),
  } = options;
  if (/['\\!\p{Cc}]|[^ -~]/u.test(remoteNode) || remoteNode.startsWith("-")) {
    throw new CodedError(
      "config.invalid",
      `cannot use --remote-node ${JSON.stringify(remoteNode)}: it holds a character that can't pass through every login shell`,
      {
        leg: "jump",
        hint: "Use a path of plain characters, without quotes, backslashes and exclamation marks.",
      },
    );
  }
  const header = `farside-bundle ${nonce} ${compressed.length} ${digest} ${opening.length}`;
  return {
    nonce,
    command: markedCommand(nonce, SCRIPT, [digest, remoteNode, LOADER, withoutNode, argument]),
    upload: Buffer.concat([Buffer.from(`${NEWLINES_FOR_RC_FILES}${header}\n`), compressed, opening]),
  };
}

/** What stands in the output of a login as soon as it runs the command of the deploy with `nonce`. */
export function shellMark(nonce: string): string {
  return `${SHELL_MARK}${nonce}\n`;
}

/** A command that prints the shell mark for `nonce` and ends. */
export function markCommand(nonce: string): string {
  return shellCommand(`echo "${SHELL_MARK}$1$2"`, halves(nonce));
}

/** A command that runs `script` with `args` behind `$1$2`, the nonce; every process of it is known by that, see `RUN_VARIABLE`. */
export function markedCommand(nonce: string, script: string, args: readonly string[] = []): string {
  return shellCommand(MARK, [...halves(nonce), script, ...args]);
}

/** 128 random bits, hex. */
export function newNonce(): string {
  return randomBytes(16).toString("hex");
}

/** `nonce` as two arguments. */
export function halves(nonce: string): [string, string] {
  return [nonce.slice(0, nonce.length / 2), nonce.slice(nonce.length / 2)];
}

/** A command that runs `script` in /bin/sh from any login shell. Throws a plain Error for what single quotes can't hold everywhere. */
export function shellCommand(script: string, args: readonly string[]): string {
  const words = [script, "farside", ...args];
  const bad = words.find((word) => /['\\!`]|[^ -~]/.test(word));
  if (bad !== undefined)
    throw new Error(`not safe in every login shell: ${JSON.stringify(bad.slice(0, 80))}`);
  return `exec /bin/sh -c ${words.map((word) => `'${word}'`).join(" ")}`;
}

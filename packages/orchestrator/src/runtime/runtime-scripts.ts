import { onOneLine } from "../loader.ts";
import {
  KEEP_FOLDERS,
  KEEP_PREFIX,
  OWN_FOLDER,
  SESSION_FOLDERS,
  SESSION_PREFIX,
  UNFINISHED_PREFIX,
} from "./runtime-ladder.ts";

/**
 * The orders that a bootstrap without a Node.js reads from stdin, one line each; see section 2a of docs/protocol.md. They run in
 * the bootstrap's shell: `$nonce`, `$3` (the bundle's digest), `$5` (the loader), `$7` (the argument for the bundle, or nothing) and `say STATUS EXITCODE` are there.
 */

/** SHA-256 of a file, by what the host has; by the runtime itself where it has nothing. */
const SUM = `
sum() {
  if command -v sha256sum >/dev/null 2>&1; then s=$(sha256sum < "$1"); s=\${s%% *};
  elif command -v openssl >/dev/null 2>&1; then s=$(openssl dgst -sha256 < "$1"); s=\${s##* };
  elif command -v shasum >/dev/null 2>&1; then s=$(shasum -a 256 < "$1"); s=\${s%% *};
  else s=$("$1" -e 'const hash = require("crypto").createHash("sha256"); require("fs").createReadStream("/proc/self/exe").on("data", (data) => hash.update(data)).on("end", () => console.log(hash.digest("hex")))' </dev/null 2>/dev/null);
  fi;
};
`;

/** What of the host decides whether a runtime can run there, and whether it has kept one. */
export function factsOrder(digests: Readonly<Record<string, string>>): string {
  const byMachine = Object.entries(digests).map(([machine, digest]) => `${machine}) digest=${digest} ;;`);
  return onOneLine(`
${SUM} ${OWN_FOLDER}
os=$(uname -s 2>/dev/null); machine=$(uname -m 2>/dev/null);
loader=; libc=; version=;
for l in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1 /lib64/ld-linux-aarch64.so.1; do
  if [ -z "$loader" ] && [ -e "$l" ]; then loader=$l; libc=glibc; fi;
done;
for l in /lib/ld-musl-*.so.1; do
  if [ -z "$loader" ] && [ -e "$l" ]; then loader=$l; libc=musl; fi;
done;
if [ "$libc" = glibc ]; then
  version=$(getconf GNU_LIBC_VERSION 2>/dev/null); version=\${version#glibc };
  if [ -z "$version" ]; then version=$(ldd --version 2>/dev/null | sed -n "1s/.* //p"); fi;
  for l in /lib/*/libc-2.*.so /lib64/libc-2.*.so /lib/libc-2.*.so; do
    if [ -z "$version" ] && [ -e "$l" ]; then version=\${l##*/libc-}; version=\${version%.so}; fi;
  done;
  for l in /lib/*-linux-gnu/libc.so.6 /lib64/libc.so.6; do
    if [ -z "$version" ] && [ -x "$l" ]; then version=$("$l" 2>/dev/null | sed -n "1s/.*version \\([0-9.]*[0-9]\\).*/\\1/p"); fi;
  done;
fi;
if [ "$libc" = musl ]; then version=$("$loader" 2>&1 </dev/null | sed -n "s/^Version //p"); fi;
cxx=no;
for l in /lib/*/libstdc++.so.6 /usr/lib/*/libstdc++.so.6 /lib64/libstdc++.so.6 /usr/lib64/libstdc++.so.6 /lib/libstdc++.so.6 /usr/lib/libstdc++.so.6; do
  if [ -e "$l" ]; then cxx=yes; fi;
done;
if [ -n "$LD_LIBRARY_PATH" ]; then cxx=yes; fi;
unpack=none;
for c in gzip gunzip; do
  if [ $unpack = none ] && command -v $c >/dev/null 2>&1; then unpack=gzip; fi;
done;
proc=no; if [ -e /proc/self/fd/1 ]; then proc=yes; fi;
kept=; digest=none;
case $machine in ${byMachine.join(" ")} esac;
for d in ${KEEP_FOLDERS}; do
  if [ -z "$kept" ] && own "$d" && f=$w/node-$digest && [ -O "$f" ] && [ -x "$f" ]; then
    sum "$f"; if [ "$s" = "$digest" ]; then kept=$f; fi;
  fi;
done;
echo "farside-preamble:$nonce:facts:os=$os;machine=$machine;libc=$libc;version=$version;cxx=$cxx;unpack=$unpack;proc=$proc;kept=$kept";
IFS= read -r order && eval "$order"; exit 69
`);
}

/** Becomes the kept runtime at `$kept`, which \`factsOrder\` found and checked. */
export const KEPT_ORDER = onOneLine(`
echo "farside-preamble:$nonce:stored:$("$kept" -v </dev/null 2>/dev/null)";
ulimit -S -c 0 2>/dev/null;
exec "$kept" -e "$5" "$nonce" "$3" \${7:+"$7"}; say loader-failed:exec 70
`);

export interface StoreOrderOptions {
  /** SHA-256 of the runtime, hex. */
  readonly digest: string;
  /** Its size. */
  readonly bytes: number;
  /** What is sent. */
  readonly sentBytes: number;
  readonly isCompressed: boolean;
  readonly keep: boolean;
}

/**
 * Finds a folder, says so, takes the bytes, checks them and becomes the runtime. But for a kept one, the file has no name any more
 * before its first byte comes: it is written through descriptor 3, executed through 4, and gone with the last process that
 * has it open, whatever happens.
 */
export function storeOrder({ digest, bytes, sentBytes, isCompressed, keep }: StoreOrderOptions): string {
  const receive = isCompressed
    ? `head -c ${sentBytes} | if command -v gzip >/dev/null 2>&1; then gzip -dc; else gunzip -c; fi`
    : `head -c ${sentBytes}`;
  return onOneLine(`
${SUM} ${keep ? OWN_FOLDER : ""}
mask=$(umask); umask 077; bad=; found=;
try() {
  case $1 in /*) ;; *) return ;; esac;
  case $1 in *[!A-Za-z0-9/._+@-]*) return ;; esac;
  case "$bad," in *",$1="*) return ;; esac;
  if [ ! -d "$1" ]; then bad="$bad,$1=missing"; return; fi;
  w=${keep ? `$1/${KEEP_PREFIX}$(id -u)` : `$1/${SESSION_PREFIX}$nonce`};
  if ! mkdir -m 700 "$w" 2>/dev/null; then
    ${keep ? `if ! own "$1"; then bad="$bad,$1=not writable"; return; fi;` : `bad="$bad,$1=not writable"; return;`}
  fi;
  f=${keep ? `$w/${UNFINISHED_PREFIX}$nonce` : "$w/node"}; why=;
  { echo "#!/bin/sh"; echo "exit 0"; } 2>/dev/null > "$f" || why="no room";
  if [ -z "$why" ]; then chmod 700 "$f"; "$f" </dev/null >/dev/null 2>&1 || why="can not execute"; fi;
  if [ -z "$why" ]; then head -c ${bytes} /dev/zero 2>/dev/null > "$f" || why="no room"; fi;
  if [ -z "$why" ]; then found=$1; return; fi;
  rm -f "$f"; rmdir "$w" 2>/dev/null;
  bad="$bad,$1=$why";
};
for d in ${keep ? KEEP_FOLDERS : SESSION_FOLDERS}; do if [ -z "$found" ]; then try "$d"; fi; done;
if [ -z "$found" ]; then say "nowhere:\${bad#,}" 69; fi;
exec 3> "$f" 4< "$f";
${keep ? `p=$f;` : `p=/proc/self/fd/4; rm -f "$f"; rmdir "$w";`}
umask "$mask";
echo "farside-preamble:$nonce:ready:$found";
{ ${receive}; } 2>/dev/null >&3; exec 3>&-;
sum "$p";
if [ "$s" != ${digest} ]; then ${keep ? `rm -f "$f"; rmdir "$w" 2>/dev/null;` : ""} say "damaged:$s" 76; fi;
v=$("$p" -v </dev/null 2>/dev/null);
case $v in
  v[0-9]*) ;;
  *) v=$("$p" -v </dev/null 2>&1 | head -n 1); ${keep ? `rm -f "$f"; rmdir "$w" 2>/dev/null;` : ""} say "broken:$v" 69 ;;
esac;
${keep ? `exec 4<&-; for o in "$w"/node-*; do rm -f "$o"; done; mv -f "$f" "$w/node-${digest}"; p=$w/node-${digest};` : ""}
echo "farside-preamble:$nonce:stored:$v";
ulimit -S -c 0 2>/dev/null;
exec "$p" -e "$5" "$nonce" "$3" \${7:+"$7"}; say loader-failed:exec 70
`);
}

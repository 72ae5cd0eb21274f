/** Where a runtime may be put on a jump host, in the words of its shell: the first that can execute and has room is taken. */

/** For one session: memory first, which goes with the login; then local disks; the home last, which may be far away or small. */
export const SESSION_FOLDERS = [
  `"\${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"`,
  `"\${TMPDIR:-/var/tmp}" /var/tmp /tmp /dev/shm`,
  `"\${XDG_CACHE_HOME:-$HOME/.cache}" "$HOME"`,
].join(" ");

/** For `--keep-runtime`: where files last. */
export const KEEP_FOLDERS = `"\${XDG_CACHE_HOME:-$HOME/.cache}" "$HOME" /var/tmp`;

/** Folder within one of SESSION_FOLDERS, for as long as it takes to open the file in it; the nonce of the deploy follows. */
export const SESSION_PREFIX = ".farside-";

/** Folder within one of KEEP_FOLDERS; the user's id follows. Kept runtimes are \`node-DIGEST\` in it. */
export const KEEP_PREFIX = ".farside-runtime-";

/** What a kept runtime is called until it is complete; the nonce of the deploy follows. */
export const UNFINISHED_PREFIX = "new-";

/**
 * `own FOLDER`: whether there is a folder for kept runtimes that is this user's own, with its path in `$w`. In /var/tmp another user may
 * have made it, as a link that leads to a folder of ours now and to one of theirs in the next moment: so it is gone into, and what it is called there counts.
 */
export const OWN_FOLDER = `
own() {
  w=$(cd -P "$1/${KEEP_PREFIX}$(id -u)" 2>/dev/null && [ -O . ] && pwd -P) || return 1;
  case $w in */${KEEP_PREFIX}$(id -u)) ;; *) return 1 ;; esac;
};
`;

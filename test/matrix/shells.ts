import type { Shell } from "./cell.ts";

const shell = (
  name: string,
  path: string,
  rcFile?: string,
  language: Shell["language"] = "posix",
): Shell => ({
  name,
  path,
  language,
  ...(rcFile === undefined ? {} : { rcFile }),
});

/** Login shells. Where one reads no file of its own for `-c`, ~/.ssh/rc takes the noise: sshd runs that for any shell. */
export const shells = {
  bash: shell("bash", "/bin/bash", ".bashrc"),
  dash: shell("dash", "/bin/dash", ".ssh/rc"),
  zsh: shell("zsh", "/usr/bin/zsh", ".zshenv"),
  fish: {
    ...shell("fish", "/usr/bin/fish", ".config/fish/config.fish", "fish"),
    // It makes its folders at every start.
    leaves: /^\/home\/\w+\/\.(?:config|local|cache)/,
  },
  tcsh: shell("tcsh", "/usr/bin/tcsh", ".tcshrc", "csh"),
  ksh: shell("ksh93", "/usr/bin/ksh93", ".ssh/rc"),
  mksh: shell("mksh", "/usr/bin/mksh", ".ssh/rc"),
  yash: shell("yash", "/usr/bin/yash", ".ssh/rc"),
  rc: shell("rc (Plan 9)", "/usr/bin/rc", ".ssh/rc"),
  elvish: shell("elvish", "/usr/bin/elvish", ".ssh/rc"),
  busybox: {
    ...shell("busybox ash", "/bin/matrix-ash", ".ssh/rc"),
    // A login shell is one word: busybox looks at the name that it is called by.
    setUp: `printf '#!/bin/busybox sh\\nexec /bin/busybox ash "$@"\\n' > /bin/matrix-ash; chmod 755 /bin/matrix-ash`,
  },
  rbash: shell("rbash", "/bin/rbash", ".bashrc"),
  nologin: shell("nologin", "/usr/sbin/nologin"),
  false: shell("/bin/false", "/bin/false"),
  python: shell("python3", "/usr/bin/python3"),
  missing: shell("one that does not exist", "/bin/no-such-shell"),
} as const satisfies Record<string, Shell>;

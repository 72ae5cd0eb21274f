import { TARGET_LOGIN } from "../support/farside.ts";
import type { Runtime } from "./cell.ts";
import { type NodeMajor, nodeVersion } from "./node-builds.ts";

/** Where the jump host has the builds of `nodeCache`. No place that farside looks in. */
export const NODES = "/srv/runtimes";
const path = (major: NodeMajor) => `${NODES}/${nodeVersion(major)}/bin/node`;

/** A link at `place` (from home) to a real build, as a version manager has it. */
const at = (place: string, major: NodeMajor) =>
  `mkdir -p "$(dirname "$home/${place}")"; ln -sf ${path(major)} "$home/${place}"`;
const program = (place: string, text: string) =>
  `mkdir -p "$(dirname "$home/${place}")"; cat > "$home/${place}" <<'END'\n${text}\nEND\nchmod 755 "$home/${place}"`;
const found = (name: string, ...setUp: string[]): Runtime => ({
  name,
  hasSystemNode: false,
  setUp: setUp.join("\n"),
});
const chosen = (major: NodeMajor): Runtime => ({
  name: `Node.js ${nodeVersion(major)}, --remote-node`,
  hasSystemNode: false,
  args: ["--remote-node", path(major)],
});
/** What is wrong is the end of it: none is sent. */
const never = { args: ["--runtime", "never"] };
const onPath = { PATH: "$home/bin:/usr/local/bin:/usr/bin:/bin" };

/** Where a Node.js is on the host, and what is wrong with it. */
export const runtimes = {
  system: { name: "node in PATH", hasSystemNode: true },
  nodejs: { ...found("only as nodejs in PATH", at("bin/nodejs", "22")), env: onPath },
  nvm: found("nvm", at(`.nvm/versions/node/v${nodeVersion("22")}/bin/node`, "22")),
  fnm: found("fnm", at(`.local/share/fnm/node-versions/v${nodeVersion("22")}/installation/bin/node`, "22")),
  volta: found("volta", at(`.volta/tools/image/node/${nodeVersion("22")}/bin/node`, "22")),
  asdf: found("asdf", at(`.asdf/installs/nodejs/${nodeVersion("22")}/bin/node`, "22")),
  asdfShim: {
    ...found(
      "asdf with a shim in PATH that has no version set",
      program("bin/node", "#!/bin/sh\necho 'No version is set for command node' >&2\nexit 126"),
      at(`.asdf/installs/nodejs/${nodeVersion("22")}/bin/node`, "22"),
    ),
    env: onPath,
  },
  mise: found("mise", at(`.local/share/mise/installs/node/${nodeVersion("22")}/bin/node`, "22")),
  n: found("n", at("n/bin/node", "22")),
  unpacked: found("an unpacked archive in ~", at(`node-v${nodeVersion("22")}-linux-x64/bin/node`, "22")),
  newest: found(
    "nvm with 16, 18, 22 and 24",
    ...(["16", "18", "22", "24"] as const).map((major) =>
      at(`.nvm/versions/node/v${nodeVersion(major)}/bin/node`, major),
    ),
  ),
  oldInPath: {
    ...found(
      "16 in PATH, 22 in nvm",
      at("bin/node", "16"),
      at(`.nvm/versions/node/v${nodeVersion("22")}/bin/node`, "22"),
    ),
    env: onPath,
  },
  oldOnly: { ...found("16 only", at("bin/node", "16")), env: onPath, ...never },
  none: { ...found("no Node.js, --runtime never"), ...never },
  crashes: {
    ...found("node that crashes at its start", program("bin/node", "#!/bin/sh\nkill -SEGV $$")),
    ...{ env: onPath, ...never },
  },
  crashesLater: {
    ...found(
      "node that says its version and then crashes",
      program(
        "bin/node",
        "#!/bin/sh\n[ \"$1\" = -v ] && exec echo v22.0.0\necho 'cannot allocate' >&2\nkill -SEGV $$",
      ),
    ),
    env: onPath,
  },
  otherMachine: {
    ...found(
      "node of another architecture",
      `mkdir -p "$home/bin"; head -c 64 ${path("22")} > "$home/bin/node"; printf '\\267' | dd of="$home/bin/node" bs=1 seek=18 conv=notrunc 2> /dev/null; chmod 755 "$home/bin/node"`,
    ),
    ...{ env: onPath, ...never },
  },
  hangs: {
    ...found("node that never answers", program("bin/node", "#!/bin/sh\nexec sleep 60")),
    env: onPath,
    leaves: /sleep 60/,
  },
  wrapper: {
    ...found(
      "wrapper script that prints",
      program("bin/node", `#!/bin/bash\n[ "$1" = -v ] || echo using node 22\n${path("22")} "$@"`),
    ),
    env: onPath,
  },
  /** Nor is one sent: the host's own ssh forwards, through a hop. */
  ownSsh: {
    name: "none, --engine openssh",
    hasSystemNode: false,
    args: ["--engine", "openssh", "--via", TARGET_LOGIN],
  },
  sent: { ...found("none: one is sent"), isSent: true },
  sentForOld: { ...found("16 only: one is sent", at("bin/node", "16")), env: onPath, isSent: true },
  sentForCrashing: {
    ...found("one that crashes: one is sent", program("bin/node", "#!/bin/sh\nkill -SEGV $$")),
    ...{ env: onPath, isSent: true },
  },
  sentAlways: {
    name: "node in PATH, --runtime upload",
    hasSystemNode: true,
    args: ["--runtime", "upload"],
    isSent: true,
  },
  kept: {
    ...found("none: one is sent, --keep-runtime"),
    ...{ args: ["--keep-runtime"], isSent: true, leaves: /\.farside-runtime-\d+(?:\/node-[0-9a-f]{64})?$/ },
  },
  node16: chosen("16"),
  node18: chosen("18"),
  node20: chosen("20"),
  node22: chosen("22"),
  node24: chosen("24"),
  node26: chosen("26"),
  wrongPath: {
    name: "--remote-node of nothing",
    hasSystemNode: true,
    args: ["--remote-node", "/nowhere/node"],
  },
} as const satisfies Record<string, Runtime>;

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Host } from "../lab/host.ts";
import { JUMP, type Lab, startLab } from "../lab/lab.ts";
import type { LabProcess } from "../lab/lab-process.ts";
import { type Cell, type Server, type Trait, traitsOf } from "./cell.ts";
import { fetchPackages, packagesFolder } from "./chroots.ts";
import { debianRoot } from "./debian-root.ts";
import { fetchArm64, underEmulation } from "./emulated-arm64.ts";
import { ECHO, KEY } from "./exchange.ts";
import {
  arm64Node,
  fetchArm64Node,
  fetchNodes,
  type NodeMajor,
  nodeCache,
  nodeMajors,
  nodeVersion,
} from "./node-builds.ts";
import { startOtherServer } from "./other-servers.ts";
import { NODES } from "./runtimes.ts";

const BANNER = "authorized use only";
/** The version that farside sends; see pinned-runtimes.ts. */
const SENT: NodeMajor = "22";
const SENT_NODE = `${nodeCache}/${nodeVersion(SENT)}/bin/node`;
const PACK = '[ -e "$1" ] || { gzip -6 < "$0" > "$1.$$"; mv "$1.$$" "$1"; }';
/** One lab for many cells: each is an account of the jump host with its own shell, home, rc files and Match block. */
export class MatrixLab implements AsyncDisposable {
  readonly lab: Lab;
  readonly #server: Server;
  readonly #programs: readonly LabProcess[];

  private constructor(lab: Lab, server: Server, programs: readonly LabProcess[]) {
    this.lab = lab;
    this.#server = server;
    this.#programs = programs;
  }

  /** Makes the accounts of all `cells`, which have one server. Needs root, and the npm registry where builds of Node.js are not in the cache. */
  static async start(cells: readonly Cell[]): Promise<MatrixLab> {
    const server = cells[0]?.server;
    if (server === undefined || cells.some((cell) => cell.server !== server))
      throw new Error("not one server");
    const majors = nodeMajors.filter((major) =>
      cells.some((cell) =>
        traitsOf(cell).some((trait) => JSON.stringify(trait).includes(nodeVersion(major))),
      ),
    );
    const isSending = cells.some(({ runtime }) => runtime.isSent === true);
    await fetchNodes(isSending ? [...majors, SENT] : majors);
    if (server.emulates === "arm64") await Promise.all([fetchArm64(), fetchArm64Node()]);
    if (cells.some(({ policy }) => policy.setUp?.includes(packagesFolder) === true)) await fetchPackages();
    const jumpRoot = server.release === undefined ? {} : { jumpRoot: await debianRoot(server.release) };
    const lab = await startLab({ card: false, ...jumpRoot });
    try {
      const { workstation, jump } = lab;
      if (isSending) await seedRuntime(workstation, server.emulates === "arm64" ? arm64Node : SENT_NODE);
      await workstation.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", KEY]);
      const key = (await workstation.readFile(`${KEY}.pub`)).trim();
      await lab.authorize(key);
      await jump.writeFile("/etc/ssh/matrix-banner", `${BANNER}\n`);
      await jump.writeFile("/etc/motd", "The programs included with this system are free software.\n");
      await jump.run(["bash", "-e"], { input: hostScript(majors.length > 0, server), timeoutMs: 60_000 });
      await jump.run(["bash", "-e"], {
        input: cells.map((cell, index) => accountScript(cell, 2000 + index, key)).join("\n"),
        timeoutMs: 60_000,
      });
      await jump.writeFile("/etc/ssh/matrix.conf", `${cells.map(matchBlock).join("\n")}\n`);
      await jump.sshd.stop();
      const programs: LabProcess[] = [];
      if (server.program !== "openssh") programs.push(await startOtherServer(jump, server.program));
      else {
        // Nobody needs an sftp subsystem.
        await jump.sshd.start(
          ["AuthorizedKeysFile /etc/ssh/matrix-keys/%u", "Include /etc/ssh/matrix.conf"],
          {
            without: /^Subsystem/,
            ...(server.emulates === "arm64" && { under: underEmulation }),
          },
        );
      }
      // Cells without a hop forward to the jump host itself.
      for (const host of [jump, lab.target]) {
        const echo = host.spawn(["node", "-e", ECHO]);
        programs.push(echo);
        await new Promise<void>((resolve) => echo.output.once("data", () => resolve()));
      }
      await jump.mark();
      return new MatrixLab(lab, server, programs);
    } catch (error) {
      const log = await lab.jump.sshd.log().catch(() => "");
      await lab.close();
      throw new Error(`the lab of the matrix did not start; its sshd says:\n${log}`, { cause: error });
    }
  }

  login(cell: Cell): string {
    return `${cell.id}@${JUMP}`;
  }

  /** How many connections the server logged, in all or of those that named `user`, and how many logins of it. */
  async counts(user?: string): Promise<{ connections: number; logins: number }> {
    const isOther = this.#server.program !== "openssh";
    const log = isOther ? (this.#programs[0]?.stderr ?? "") : await this.lab.jump.sshd.log();
    const connection = isOther ? /Child connection from /g : /^Connection from /gm;
    const login = isOther ? `Pubkey auth succeeded for '${user}'` : `Accepted publickey for ${user} `;
    return {
      connections: user === undefined ? (log.match(connection)?.length ?? 0) : portsOf(log, user).size,
      logins: log.split(login).length - 1,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.kill()));
    await this.lab.close();
  }
}

/** The ports that connections came from which said that they were this user's. */
function portsOf(log: string, user: string): Set<string> {
  const lines = log.split("\n").filter((line) => new RegExp(`\\b${user}\\b`).test(line));
  return new Set(lines.flatMap((line) => /(?: port |\bfrom <?[\d.]+:)(\d+)/.exec(line)?.[1] ?? []));
}

export const homeOf = (cell: Cell): string => `/home/${cell.id}`;

/** `text` with the cell's own `$home`. */
export const filledIn = (text: string, cell: Cell): string => text.replaceAll("$home", homeOf(cell));

/** As a workstation that has sent a Node.js before has it: fetched and packed. Packed once for all labs of this machine. */
async function seedRuntime(workstation: Host, program: string): Promise<void> {
  const packed = `${program}.gz`;
  await promisify(execFile)("sh", ["-e", "-c", PACK, program, packed], { timeout: 60_000 });
  const script = `
    mkdir -p -m 700 ~/.cache/farside/runtimes; cd ~/.cache/farside/runtimes
    digest=$(sha256sum < ${program} | cut -c -64)
    ln -s ${program} "node-$digest"; cp ${packed} "$digest.gz"`;
  await workstation.run(["sh", "-e", "-c", script], { timeoutMs: 60_000 });
}

/** The host's own node is for those who may have it; the other builds are for whoever knows where they are. */
function hostScript(hasBuilds: boolean, { release }: Server): string {
  return `
groupadd -f hasnode
for node in /usr/local/bin/node /usr/bin/node; do
  # What is mounted there is the machine's own file: a copy, then, whose mode may be changed.
  if mountpoint -q "$node"; then cp "$node" /run/node; umount "$node"; cp /run/node "$node"; rm /run/node; fi
  if [ -f "$node" ]; then chgrp hasnode "$node"; chmod 0750 "$node"; fi
done
mkdir -p ${NODES} /etc/ssh/matrix-keys
${hasBuilds && release === undefined ? `mount --bind ${nodeCache} ${NODES}` : ""}
`;
}

function accountScript(cell: Cell, uid: number, key: string): string {
  const { id, shell, noise, runtime } = cell;
  const rc = noise.rc?.[shell.rcFile === ".ssh/rc" ? "posix" : shell.language];
  if (noise.rc !== undefined && (rc === undefined || shell.rcFile === undefined)) {
    throw new Error(`${id}: "${noise.name}" is not known in ${shell.name}`);
  }
  const options = traitsOf(cell).map((trait: Trait) => trait.keyOptions ?? "");
  const lines = [
    `user=${id} home=${homeOf(cell)}`,
    `echo "$user:x:${uid}:${uid}::$home:${shell.path}" >> /etc/passwd`,
    `echo "$user:x:${uid}:" >> /etc/group`,
    `echo "$user:*:19000:0:99999:7:::" >> /etc/shadow`,
    `mkdir -m 755 "$home"`,
    ...(runtime.hasSystemNode || noise.setUp !== undefined ? ["usermod -a -G hasnode $user"] : []),
    `cat > "/etc/ssh/matrix-keys/$user" <<'END'\n${options.join("")}${key}\nEND`,
    // Dropbear reads no other place.
    ...(cell.server.program === "dropbear"
      ? [`mkdir -m 700 "$home/.ssh"; cp "/etc/ssh/matrix-keys/$user" "$home/.ssh/authorized_keys"`]
      : []),
  ];
  if (rc !== undefined) {
    lines.push(`mkdir -p "$(dirname "$home/${shell.rcFile}")"`);
    lines.push(`cat > "$home/${shell.rcFile}" <<'END'\n${rc}\nEND`);
  }
  // The home itself comes last: it may be mounted over, or not be writable any more.
  const { home, ...before } = cell;
  lines.push(
    ...[before.shell, before.noise, before.policy, before.runtime].flatMap(({ setUp }) => setUp ?? []),
    `chown -R ${uid}:${uid} "$home"`,
    ...(home.setUp === undefined ? [] : [home.setUp]),
  );
  return `( ${lines.join("\n")}\n)`;
}

function matchBlock(cell: Cell): string {
  const env = Object.assign({}, ...traitsOf(cell).map((trait: Trait) => trait.env)) as Record<string, string>;
  const variables = Object.entries(env).map(([name, value]) => `"${name}=${filledIn(value, cell)}"`);
  const lines = [
    ...traitsOf(cell).flatMap((trait: Trait) => trait.sshd ?? []),
    ...(variables.length === 0 ? [] : [`SetEnv ${variables.join(" ")}`]),
  ];
  return lines.length === 0 ? "" : [`Match User ${cell.id}`, ...lines].join("\n  ");
}

import { JUMP, type Lab, startLab } from "../lab/lab.ts";
import type { LabProcess } from "../lab/lab-process.ts";
import { type Cell, type Trait, traitsOf } from "./cell.ts";
import { fetchNodes, nodeCache, nodeMajors, nodeVersion } from "./node-builds.ts";
import { NODES } from "./runtimes.ts";

/** The echo service that every cell's forward leads to, on the jump host itself. */
export const ECHO_PORT = 7000;
export const KEY = "/root/.ssh/matrix";
const BANNER = "authorized use only";
const ECHO = `require("net").createServer({ allowHalfOpen: true }, (socket) => { socket.on("error", () => {}); socket.pipe(socket); })
  .listen(${ECHO_PORT}, "127.0.0.1", () => console.log("listening"));`;

/** One lab for many cells: each is an account of the jump host with its own shell, home, rc files and Match block. */
export class MatrixLab implements AsyncDisposable {
  readonly lab: Lab;
  readonly #echo: LabProcess;

  private constructor(lab: Lab, echo: LabProcess) {
    this.lab = lab;
    this.#echo = echo;
  }

  /** Makes the accounts of all `cells`. Needs root, and the npm registry where builds of Node.js are not in the cache. */
  static async start(cells: readonly Cell[]): Promise<MatrixLab> {
    const majors = nodeMajors.filter((major) =>
      cells.some((cell) =>
        traitsOf(cell).some((trait) => JSON.stringify(trait).includes(nodeVersion(major))),
      ),
    );
    await fetchNodes(majors);
    const lab = await startLab({ card: false });
    try {
      const { workstation, jump } = lab;
      await workstation.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", KEY]);
      const key = (await workstation.readFile(`${KEY}.pub`)).trim();
      await jump.writeFile("/etc/ssh/matrix-banner", `${BANNER}\n`);
      await jump.writeFile("/etc/motd", "The programs included with this system are free software.\n");
      await jump.run(["bash", "-e"], { input: hostScript(majors.length > 0), timeoutMs: 60_000 });
      await jump.run(["bash", "-e"], {
        input: cells.map((cell, index) => accountScript(cell, 2000 + index, key)).join("\n"),
        timeoutMs: 60_000,
      });
      await jump.writeFile("/etc/ssh/matrix.conf", `${cells.map(matchBlock).join("\n")}\n`);
      await jump.sshd.stop();
      // Nobody needs an sftp subsystem.
      await jump.sshd.start(["AuthorizedKeysFile /etc/ssh/matrix-keys/%u", "Include /etc/ssh/matrix.conf"], {
        without: /^Subsystem/,
      });
      const echo = jump.spawn(["node", "-e", ECHO]);
      await new Promise<void>((resolve) => echo.output.once("data", () => resolve()));
      await jump.mark();
      return new MatrixLab(lab, echo);
    } catch (error) {
      const log = await lab.jump.sshd.log().catch(() => "");
      await lab.close();
      throw new Error(`the lab of the matrix did not start; its sshd says:\n${log}`, { cause: error });
    }
  }

  login(cell: Cell): string {
    return `${cell.id}@${JUMP}`;
  }

  /** What sshd logged about connections and logins. */
  async sshdLog(): Promise<string> {
    return this.lab.jump.sshd.log();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#echo.kill();
    await this.lab.close();
  }
}

export const homeOf = (cell: Cell): string => `/home/${cell.id}`;

/** `text` with the cell's own `$home`. */
export const filledIn = (text: string, cell: Cell): string => text.replaceAll("$home", homeOf(cell));

/** The host's own node is for those who may have it; the other builds are for whoever knows where they are. */
function hostScript(hasBuilds: boolean): string {
  return `
groupadd -f hasnode
for node in /usr/local/bin/node /usr/bin/node; do
  if [ -f "$node" ]; then chgrp hasnode "$node"; chmod 0750 "$node"; fi
done
mkdir -p ${NODES} /etc/ssh/matrix-keys
${hasBuilds ? `mount --bind ${nodeCache} ${NODES}` : ""}
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

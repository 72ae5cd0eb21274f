import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { within } from "../support/wait-for.ts";
import { HOST_INIT, type HostInitFacts, initEnvironment } from "./host-init.ts";
import {
  difference,
  filesWith,
  type HostRoots,
  type HostState,
  type Residue,
  stateOf,
} from "./host-state.ts";
import { type ExecOptions, type ExecResult, execIn, LabProcess, type SpawnOptions } from "./lab-process.ts";
import { type LinkBytes, linkBytesOf } from "./proc-net.ts";
import { LabSshd } from "./sshd.ts";
import { underSystemdKeeper } from "./systemd-init.ts";

export interface HostOptions extends HostInitFacts {
  readonly address: string;
  /** The account that farside logs in as; `root` on the workstation. */
  readonly user: string;
}

const START_TIMEOUT_MS = 30_000;
/** systemd takes some 8 s to come up on a busy machine. */
const BOOT_TIMEOUT_MS = 45_000;
const NAMESPACES = ["--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child"];

/**
 * One host of a lab: namespaces of its own (network, processes, mounts, host name, IPC) over the machine's file system.
 * It ends when it is closed or when this process ends.
 */
export class Host {
  readonly name: string;
  readonly address: string;
  readonly user: string;
  /** Pid of the host's init as the machine sees it. */
  readonly initPid: number;
  readonly sshd: LabSshd;
  /** Whether Debian's systemd is its PID 1. */
  readonly hasSystemd: boolean;
  readonly #init: ChildProcess;
  readonly #roots: HostRoots;
  #marked: HostState | undefined;

  private constructor(options: HostOptions, init: ChildProcess, initPid: number, outerPid: number) {
    this.name = options.hostname;
    this.address = options.address;
    this.user = options.user;
    this.initPid = initPid;
    this.sshd = new LabSshd(this);
    this.hasSystemd = options.init === "systemd";
    this.#init = init;
    this.#roots = {
      initPid,
      // unshare waits outside the host's root: through it the layers can be seen.
      upper: `/proc/${outerPid}/root${options.folder}/layers/upper`,
      lower: options.lowerRoot,
      foreign: [options.checkout, options.shared],
    };
  }

  static async start(options: HostOptions): Promise<Host> {
    const isSystemd = options.init === "systemd";
    const plain = ["unshare", ...NAMESPACES, ...(isSystemd ? ["--cgroup"] : []), "bash", "-c", HOST_INIT];
    const [command = "", ...args] = isSystemd ? underSystemdKeeper(options.folder, plain) : plain;
    const init = spawn(command, args, {
      ...{ stdio: ["pipe", "pipe", "pipe"], detached: true, env: initEnvironment(options) },
    });
    let log = "";
    init.stderr.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
    init.stdin.on("error", () => {});
    const ready = new Promise<number>((resolve, reject) => {
      createInterface({ input: init.stdout }).on("line", (line) => {
        if (line.startsWith("ready ")) resolve(Number(line.slice(6)));
      });
      init.once("error", reject);
      init.once("close", () => reject(new Error(`host ${options.hostname} did not start: ${log.trim()}`)));
    });
    try {
      const initPid = await within(ready, START_TIMEOUT_MS, `host ${options.hostname}`);
      const host = new Host(options, init, initPid, await parentOf(initPid));
      if (isSystemd) await host.#booted();
      return host;
    } catch (error) {
      if (isSystemd) init.stdin.end();
      else init.kill("SIGKILL");
      throw error;
    }
  }

  async #booted(): Promise<void> {
    // The manager's socket is not there from the first moment on.
    const wait =
      'until systemctl is-system-running --wait 2> /dev/null | grep -q "running\\|degraded"; do sleep 0.1; done';
    await this.run(["sh", "-c", `${wait}; systemctl is-system-running || systemctl --failed >&2`], {
      timeoutMs: BOOT_TIMEOUT_MS,
    });
  }

  /** Runs a command to its end. Its exit status is in the result, not an error. */
  exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    return execIn(this.enterCommand, argv, options);
  }

  /** Runs a command that has to succeed and returns its output. */
  async run(argv: readonly string[], options: ExecOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.exec(argv, options);
    if (code !== 0) throw new Error(`${argv.join(" ")} on ${this.name}: exit ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  spawn(argv: readonly string[], options: SpawnOptions = {}): LabProcess {
    return LabProcess.start(this.enterCommand, argv, options);
  }

  /** The command line that leads into this host, to be put before a command; for what must be started by others. */
  get enterCommand(): readonly string[] {
    const namespaces = ["--mount", "--pid", "--net", "--uts", "--ipc", "--root", "--wd"];
    return ["nsenter", "--target", String(this.initPid), ...namespaces, "--"];
  }

  async writeFile(
    path: string,
    content: string | Uint8Array,
    options: { user?: string } = {},
  ): Promise<void> {
    const script = 'mkdir -p "$(dirname "$0")" && cat > "$0"';
    await this.run(["/bin/sh", "-c", script, path], { ...options, input: content });
  }

  readFile(path: string): Promise<string> {
    return this.run(["cat", path]);
  }

  /** Remembers the present state; residue() tells what has come since. */
  async mark(): Promise<void> {
    this.#marked = await stateOf(this.#roots);
  }

  /** Processes, listeners and files that are here now and were not, or not so, at mark(). */
  async residue(): Promise<Residue> {
    if (this.#marked === undefined) throw new Error(`mark() was not called on ${this.name}`);
    return difference(this.#marked, await stateOf(this.#roots));
  }

  /** Changed files that hold `text`, on every file system of the host. */
  async filesWith(text: string): Promise<string[]> {
    return filesWith(this.#roots, text);
  }

  /** Counters of the link with that interface name (`to-jump`, `to-ws`, `to-target` …). */
  linkBytes(link: string): Promise<LinkBytes> {
    return linkBytesOf(this.initPid, link);
  }

  async linkDown(link: string): Promise<void> {
    await this.run(["ip", "link", "set", link, "down"]);
  }

  async linkUp(link: string): Promise<void> {
    await this.run(["ip", "link", "set", link, "up"]);
  }

  /** Ends everything on the host. Resolves when it is gone. */
  async close(): Promise<void> {
    if (this.#init.exitCode !== null || this.#init.signalCode !== null) return;
    const gone = once(this.#init, "close");
    // The end of its input is enough; the signal is for a host whose init is stuck in an unfinished start.
    this.#init.stdin?.end();
    // systemd's keeper must not be killed: it is the one that kills, and cleans up.
    const timer = setTimeout(() => this.#init.kill("SIGKILL"), this.hasSystemd ? 20_000 : 2_000);
    await gone;
    clearTimeout(timer);
  }
}

async function parentOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]);
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex, PassThrough } from "node:stream";
import type { Hop } from "@farside/ssh";

type Environment = Readonly<Record<string, string>>;

/** The script of a `node` that goes on until it is killed, and says when it runs. */
export const HOLD = "console.log(1); setInterval(() => {}, 1e6);";

/** This machine as a jump host for what looks at one: a home of its own, and processes that end with it. */
export class LocalHost implements AsyncDisposable {
  readonly home: string;
  readonly #children: ChildProcess[] = [];

  static async create(): Promise<LocalHost> {
    return new LocalHost(await mkdtemp(join(tmpdir(), "farside-local-host-")));
  }

  private constructor(home: string) {
    this.home = home;
  }

  /** Runs commands as sshd would for a login with this shell, on a host whose /bin/sh is `sh`. */
  hop(shell = "/bin/sh", sh: readonly string[] = ["/bin/sh"]): Pick<Hop, "exec"> {
    return {
      exec: async (command) => {
        const child = spawn(shell, ["-c", command.replaceAll("/bin/sh", sh.join(" "))], {
          cwd: this.home,
          env: { PATH: process.env["PATH"], HOME: this.home },
        });
        // As sshd does: what a command that has ended does not read any more breaks nothing.
        const input = new PassThrough();
        child.stdin.on("error", () => input.resume());
        input.pipe(child.stdin);
        const channel = Duplex.from({ readable: child.stdout, writable: input });
        return channel as unknown as Awaited<ReturnType<Hop["exec"]>>;
      },
    };
  }

  /** A process that has said something. */
  async start(command: string, args: readonly string[], environment?: Environment): Promise<ChildProcess> {
    return (await this.startAndHear(command, args, environment)).child;
  }

  /** With what it said first. */
  async startAndHear(command: string, args: readonly string[], environment: Environment = {}) {
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, ...environment },
    });
    this.#children.push(child);
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    return { child, said: said.toString() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    await rm(this.home, { recursive: true, force: true });
  }
}

/** A server that accepts and says nothing; whoever asked for it closes it. */
export async function listen(address: string | { readonly path: string }): Promise<Server> {
  const server = createServer();
  if (typeof address === "string") server.listen(0, address);
  else server.listen(address.path);
  await once(server, "listening");
  return server;
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { program } from "./program.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** A real ssh-agent with a socket of its own. Disposing ends it. */
export interface SshAgent extends AsyncDisposable {
  readonly socketPath: string;
  readonly pid: number;
  /** ssh-add, with any arguments. */
  add(...args: string[]): Promise<string>;
}

/** `at`: where its socket is; default: in a folder of its own. */
export async function startSshAgent(at?: string): Promise<SshAgent> {
  const folder = await temporaryFolder();
  const socketPath = at ?? folder.file("agent");
  const child = spawn("ssh-agent", ["-D", "-a", socketPath], { stdio: ["ignore", "pipe", "ignore"] });
  const killAtExit = () => child.kill();
  process.once("exit", killAtExit);
  // It says where it listens once it does.
  await once(child.stdout, "data");
  return {
    socketPath,
    pid: child.pid ?? 0,
    add: (...args) => program("ssh-add", args, { env: { ...process.env, SSH_AUTH_SOCK: socketPath } }),
    async [Symbol.asyncDispose]() {
      const gone = once(child, "exit");
      child.kill();
      await gone;
      process.off("exit", killAtExit);
      await folder[Symbol.asyncDispose]();
    },
  };
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";

export interface BlackHole extends AsyncDisposable {
  /** Of 127.0.0.1. */
  readonly port: number;
}

/** A port on which no connect is ever answered, as behind a firewall that drops packets: its process is stopped, its queue full. */
export async function blackHole(): Promise<BlackHole> {
  const program = `const server = require("net").createServer().listen({ host: "127.0.0.1", port: 0, backlog: 1 },
    () => console.log(server.address().port))`;
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(child.stdout, "data");
  const port = Number(String(line));
  child.kill("SIGSTOP");
  const sockets: Socket[] = [];
  const close = () => end(child, sockets);
  try {
    while (await answers(port, sockets));
  } catch (error) {
    await close();
    throw error;
  }
  return { port, [Symbol.asyncDispose]: close };
}

/** Longer than a connect on one machine ever takes. */
const SILENCE_MS = 300;

async function answers(port: number, sockets: Socket[]): Promise<boolean> {
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  sockets.push(socket);
  if (sockets.length > 10) throw new Error("its queue does not fill");
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(SILENCE_MS) });
    return true;
  } catch {
    // It may be this process that was held up.
    return !(await isAsking(port));
  }
}

/** Whether a connect to `port` is under way, for the kernel. */
async function isAsking(port: number): Promise<boolean> {
  const there = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return (await readFile("/proc/net/tcp", "latin1")).includes(` ${there} 02 `);
}

async function end(child: ChildProcess, sockets: readonly Socket[]): Promise<void> {
  for (const socket of sockets) socket.destroy();
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

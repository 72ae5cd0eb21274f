import type { LabProcess } from "@farside/test/lab/lab-process";
import { isListening } from "@farside/test/lab/proc-net";
import { waitFor } from "@farside/test/support/wait-for";
import type { BenchLab } from "../lab/bench-lab.ts";
import { listenerPid, processTree } from "../lab/processes.ts";

/** Something that opens a port on the jump host for the service on the target. */
export interface Forwarder {
  readonly name: string;
  /** The command line, for readers. */
  readonly command: string;
  start(bench: BenchLab): Promise<RunningForwarder>;
}

export interface RunningForwarder extends AsyncDisposable {
  /** Where clients on the jump host connect, `address:port`. */
  readonly address: string;
  /** The machine's pids of the processes that move the data, on the jump host. Empty for none. */
  pids(): Promise<number[]>;
}

const START_TIMEOUT_MS = 30_000;

/** A forwarder that is one process (with what it starts) and ready when `port` is listened on. */
export async function whenListening(
  bench: BenchLab,
  port: number,
  process: LabProcess,
  end: () => Promise<void> = () => process.kill(),
): Promise<RunningForwarder> {
  try {
    await waitFor(
      async () => {
        if (process.hasEnded) throw new Error(`it ended: ${process.stdout}${process.stderr}`);
        return isListening(bench.jump.initPid, port);
      },
      { what: `port ${port}`, withinMs: START_TIMEOUT_MS, detail: () => process.stderr },
    );
    const root = await listenerPid(bench.jump, port);
    if (root === undefined) throw new Error(`nobody listens on port ${port} any more`);
    return {
      address: `127.0.0.1:${port}`,
      pids: () => processTree(root),
      [Symbol.asyncDispose]: end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

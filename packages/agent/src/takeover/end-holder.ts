import { setTimeout as wait } from "node:timers/promises";
import { ProcessFamily } from "@farside/protocol/process-family";
import { processStart } from "@farside/protocol/process-start";
import { RUN_VARIABLE } from "../command/command-table.ts";
import { type ProvenAgent, proveAgent } from "./proven-agent.ts";

/** How long an agent may take to end in order. */
const TERM_TIMEOUT_MS = 1_500;
const KILL_TIMEOUT_MS = 1_000;
const CONTROL_TIMEOUT_MS = 1_500;
const POLL_MS = { first: 5, most: 50 } as const;

export interface EndHolderOptions {
  readonly uid: number;
  /** Who takes over: told to the other agent. */
  readonly session: string;
  /** What it listens on and has to let go of. */
  readonly address: string;
}

/**
 * Has a proven agent let go of a port: through its control socket where it answers there, else by SIGTERM, and SIGKILL where that does not
 * end it. Right before each signal it is proven again. Never rejects; the port tells whether it worked.
 */
export async function endHolder(agent: ProvenAgent, options: EndHolderOptions): Promise<void> {
  if (agent.control !== undefined && (await askToYield(agent.control, options))) return;
  // One that is stopped takes SIGTERM when it goes on.
  await signalAndWait(agent, options.uid, TERM_TIMEOUT_MS, () => {
    process.kill(agent.pid, "SIGTERM");
    process.kill(agent.pid, "SIGCONT");
  });
  await signalAndWait(agent, options.uid, KILL_TIMEOUT_MS, () => {
    // With the commands that it runs, which it can't end any more.
    new ProcessFamily(agent.pid, `${RUN_VARIABLE}=${agent.run}`).killNow();
  });
}

async function signalAndWait(
  agent: ProvenAgent,
  uid: number,
  withinMs: number,
  signal: () => void,
): Promise<void> {
  const now = await proveAgent(agent.pid, uid);
  if (now === undefined || now.start !== agent.start) return;
  try {
    signal();
  } catch {
    return;
  }
  const until = performance.now() + withinMs;
  for (
    let pause: number = POLL_MS.first;
    performance.now() < until;
    pause = Math.min(pause * 1.5, POLL_MS.most)
  ) {
    if ((await processStart(agent.pid)) !== agent.start) return;
    await wait(pause);
  }
}

/** Whether the agent behind `control` has let go of the address. */
async function askToYield(control: string, { session, address }: EndHolderOptions): Promise<boolean> {
  const http = await import("node:http");
  return new Promise((resolve) => {
    const request = http.request({
      ...{ socketPath: control, path: "/take-over", method: "POST", timeout: CONTROL_TIMEOUT_MS },
      headers: { "content-type": "application/json" },
    });
    const timer = setTimeout(() => request.destroy(), CONTROL_TIMEOUT_MS);
    request.on("response", (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on("error", () => resolve(false));
    request.on("close", () => {
      clearTimeout(timer);
      resolve(false);
    });
    request.end(JSON.stringify({ by: session, address }));
  });
}

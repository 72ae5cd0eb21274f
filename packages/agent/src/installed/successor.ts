import { type ChildProcess, spawn } from "node:child_process";
import { abortable, CodedError, deadline, harmless } from "@farside/protocol";
import { bequeath, type Heirloom, LISTENERS_VARIABLE } from "./inheritance.ts";

/** Node.js on a busy host, the bundle, the control socket. */
const START_TIMEOUT_MS = 30_000;
const READY_TIMEOUT_MS = 180_000;

/** What a successor tells its predecessor. */
export type SuccessorNews =
  | { readonly news: "listening"; readonly control: string }
  | { readonly news: "ready" }
  | { readonly news: "failed"; readonly why: string };

export interface Successor {
  readonly pid: number;
  /** Its control socket until it is ready. */
  readonly control: string;
  /** Resolves when it serves every forward, rejects where it has failed to and is gone. */
  readonly ready: Promise<void>;
}

export interface SuccessorOptions {
  /** The bundle, and its arguments. */
  readonly command: readonly string[];
  readonly heirlooms: readonly Heirloom[];
}

/**
 * Starts another process of the agent that has all listening sockets by inheritance, and resolves once it has said that it
 * is there. Rejects with `agent.start-failed`; then nothing of it is left, and nothing has changed here.
 */
export async function startSuccessor({ command, heirlooms }: SuccessorOptions): Promise<Successor> {
  const { text, descriptors } = bequeath(heirlooms);
  const child = spawn(process.execPath, [...command], {
    detached: true,
    stdio: ["ignore", "inherit", "inherit", "ipc", ...descriptors],
    env: { ...process.env, [LISTENERS_VARIABLE]: text },
  });
  const { pid = 0 } = child;
  const news = listenTo(child);
  try {
    const { control } = await inTime(news.listening, START_TIMEOUT_MS, "it did not listen in time");
    const ready = inTime(news.ready, READY_TIMEOUT_MS, "it was not ready in time").then(
      () => letGo(child),
      (error) => {
        child.kill("SIGKILL");
        throw error;
      },
    );
    ready.catch(() => undefined);
    return { pid, control, ready };
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

/** What it tells, each once; both reject where it ends first. One listener from the start on: it may tell both at once. */
function listenTo(child: ChildProcess) {
  let fail: (error: CodedError) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const told = <Kind extends "listening" | "ready">(kind: Kind) => {
    const news = new Promise<Extract<SuccessorNews, { news: Kind }>>((resolve) => {
      child.on("message", (each: SuccessorNews) => {
        if (each.news === kind) resolve(each as Extract<SuccessorNews, { news: Kind }>);
      });
    });
    return Promise.race([news, failed]);
  };
  const [listening, ready] = [told("listening"), told("ready")];
  for (const news of [listening, ready]) news.catch(() => undefined);
  child.on("message", (each: SuccessorNews) => {
    if (each.news === "failed") fail(startFailed(harmless(each.why, 500)));
  });
  child.once("exit", () => fail(startFailed("it ended")));
  child.once("error", ({ message }) => fail(startFailed(message)));
  return { listening, ready };
}

async function inTime<T>(promise: Promise<T>, ms: number, late: string): Promise<T> {
  const limit = deadline(ms, () => startFailed(late));
  try {
    return await abortable(promise, limit.signal);
  } finally {
    limit.release();
  }
}

/** It lives on without us. */
function letGo(child: ChildProcess): void {
  if (child.connected) child.disconnect();
  child.unref();
}

function startFailed(why: string): CodedError {
  return new CodedError("agent.start-failed", `starting the new agent beside the old one: ${why}`, {
    leg: "jump",
    hint: "The old one goes on. farside agent logs shows what the new one said.",
  });
}

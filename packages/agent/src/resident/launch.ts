import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { abortable, CodedError, deadline, fromWire, type WireError } from "@farside/protocol";
import { type BootFacts, jobArgument } from "../boot-facts.ts";
import { openRunDirectory } from "../control/run-directory.ts";
import type { HostFacts } from "../host-facts.ts";
import { mallocEnvironment } from "../malloc-environment.ts";
import { decideSurvival, readSurvivalFacts, type Survival } from "./survival.ts";

const START_TIMEOUT_MS = 15_000;
const MAX_ANSWER_BYTES = 16 * 1024;

/** Runs the bundle on its stdin; argv as the loader's. No single file is read or written. */
const RUN_STDIN = `
const [, nonce, digest, argument] = process.argv;
const source = require("zlib").brotliDecompressSync(require("fs").readFileSync(0)).toString();
const Module = require("module");
const agent = new Module("farside-agent.cjs");
agent.filename = "farside-agent.cjs";
agent.paths = [];
globalThis[Symbol.for("farside.boot")] = { nonce, digest, argument };
agent._compile(source, "farside-agent.cjs");
`;

/** What a resident agent's process writes to its stdout, as one line of JSON, once it listens or has failed. */
export type LaunchAnswer = { readonly control: string } | { readonly error: WireError };

export interface LaunchOptions {
  readonly boot: BootFacts;
  readonly session: string;
  readonly facts: HostFacts;
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * Starts the resident agent as a process that outlives this login, with the bundle that this process was started with,
 * and resolves with the path of its control socket once it listens. Rejects with `agent.would-not-survive`,
 * `agent.unsupported-host`, `agent.start-failed` or what the agent failed with.
 */
export async function launch({ boot, session, facts, environment }: LaunchOptions): Promise<string> {
  if (boot.compressed === undefined) throw new Error("a launcher without its bundle");
  const survivalFacts = await readSurvivalFacts(facts);
  const survival = decideSurvival(survivalFacts);
  const runtimeFolder = environment["XDG_RUNTIME_DIR"];
  const runDirectory = await openRunDirectory({
    ...{ uid: facts.uid, home: environment["HOME"], runtimeFolder },
    isRuntimeFolderLasting: survivalFacts.isLingering || runtimeFolder?.startsWith("/run/user/") !== true,
  });
  const argument = jobArgument({ job: "serve", session, runDirectory });
  const command = [process.execPath, "-e", RUN_STDIN, boot.nonce, boot.digest, argument];
  const [file = "", ...args] = [...wrapping(survival, boot.nonce), ...command];
  const child = spawn(file, args, {
    detached: true,
    stdio: ["pipe", "pipe", "ignore"],
    // A login without pam_systemd's environment still has the user's manager.
    env: {
      ...(survival === "scope" && { XDG_RUNTIME_DIR: `/run/user/${facts.uid}` }),
      ...mallocEnvironment,
      ...environment,
    },
  });
  child.stdin?.on("error", () => undefined).end(boot.compressed);
  const answer = await answerOf(child);
  child.unref();
  if ("error" in answer) throw fromWire(answer.error);
  return answer.control;
}

function wrapping(survival: Survival, nonce: string): readonly string[] {
  if (survival === "detached") return [];
  const unit = `--unit=farside-agent-${nonce.slice(0, 12)}`;
  return ["systemd-run", "--user", "--scope", "--quiet", "--collect", unit, "--"];
}

async function answerOf(child: ChildProcess): Promise<LaunchAnswer> {
  const { stdout } = child;
  if (stdout === null) throw new Error("a child without a stdout");
  const limit = deadline(START_TIMEOUT_MS, "starting the resident agent took too long", { leg: "jump" });
  const failed = once(child, "error").then(([error]) =>
    Promise.reject(startFailed((error as Error).message)),
  );
  failed.catch(() => undefined);
  try {
    return await abortable(Promise.race([readAnswer(stdout), failed]), limit.signal);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  } finally {
    limit.release();
    stdout.destroy();
  }
}

async function readAnswer(stdout: Readable): Promise<LaunchAnswer> {
  let text = "";
  for await (const chunk of stdout) {
    text += String(chunk);
    if (text.includes("\n") || text.length > MAX_ANSWER_BYTES) break;
  }
  try {
    return JSON.parse(text) as LaunchAnswer;
  } catch {
    throw startFailed("it ended before it listened");
  }
}

function startFailed(why: string): CodedError {
  return new CodedError("agent.start-failed", `starting the resident agent: ${why}`, { leg: "jump" });
}

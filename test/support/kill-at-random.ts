import { setTimeout as wait } from "node:timers/promises";
import { SeededRandom } from "@farside/protocol/testing";
import type { Lab } from "../lab/lab.ts";
import { JUMP_LOGIN, runFarside, TARGET_LOGIN } from "./farside.ts";
import { waitFor } from "./wait-for.ts";

/** From the start of a session to long after it is ready. */
const LATEST_MS = 4_000;
const FIRST_PORT = 4600;
/** How soon a port must be free again. */
const FREE_AGAIN_MS = 3_000;

export interface KillAtRandomOptions {
  /** How many sessions are started and killed. */
  readonly sessions: number;
  /** How many of them at a time. */
  readonly alongside: number;
  readonly seed: number;
}

/**
 * Starts sessions of all kinds (in memory, `--reattach` with a long lease), ends each farside with SIGKILL at a random moment, and then
 * runs `farside teardown --all` twice. Resolves with what is not as it must be.
 */
export async function killAtRandom(
  lab: Lab,
  { sessions, alongside, seed }: KillAtRandomOptions,
): Promise<{ readonly problems: readonly string[]; readonly torn: number }> {
  const random = new SeededRandom(seed);
  const plans = Array.from({ length: sessions }, (_, index) => ({
    port: FIRST_PORT + index,
    afterMs: random.below(LATEST_MS),
    options: index % 4 === 3 ? [] : ["--reattach", "--lease", "10m"],
  }));
  for (let at = 0; at < plans.length; at += alongside) {
    await Promise.all(plans.slice(at, at + alongside).map((plan) => killOne(lab, plan)));
  }
  const problems: string[] = [];
  const first = await teardownAll(lab);
  const endedAt = performance.now();
  if (first.code !== 0) problems.push(`seed ${seed}: teardown --all ended with ${first.code}: ${first.text}`);
  for (const { port } of plans) {
    await waitFor(() => isFree(lab, port), { what: `port ${port}` }).catch((error: Error) =>
      problems.push(`seed ${seed}: ${error.message}`),
    );
  }
  const freeAfterMs = performance.now() - endedAt;
  if (freeAfterMs > FREE_AGAIN_MS)
    problems.push(`seed ${seed}: ports were free after ${freeAfterMs} ms only`);
  const second = await teardownAll(lab);
  if (second.code !== 0 || second.receipts > 0)
    problems.push(`seed ${seed}: a second teardown found something: ${second.text}`);
  return { problems, torn: first.receipts };
}

async function killOne(
  lab: Lab,
  { port, afterMs, options }: { port: number; afterMs: number; options: readonly string[] },
): Promise<void> {
  const forward = ["forward", JUMP_LOGIN, "-L", `${port}:localhost:4444`, "--via", TARGET_LOGIN];
  const farside = runFarside(lab, [...forward, ...options]);
  await wait(afterMs);
  await farside.signal("SIGKILL");
  await farside.exit;
}

async function teardownAll(lab: Lab): Promise<{ code: number | null; receipts: number; text: string }> {
  const farside = runFarside(lab, ["teardown", "--all"]);
  const { code } = await farside.exit;
  const receipts = farside.process.stdout.split("\n").filter((line) => line.startsWith("{")).length;
  return { code, receipts, text: farside.transcript };
}

async function isFree({ jump }: Lab, port: number): Promise<boolean> {
  const script = `net.createServer().on("error", () => process.exit(1)).listen(${port}, "127.0.0.1", () => process.exit(0))`;
  return (await jump.exec(["node", "-e", script], { user: jump.user })).code === 0;
}

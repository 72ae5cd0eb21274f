import { setTimeout as wait } from "node:timers/promises";
import { SeededRandom } from "@farside/protocol/testing";
import type { Lab } from "../lab/lab.ts";
import { JUMP_LOGIN, runFarside, TARGET_LOGIN } from "./farside.ts";

/** From the start of a session to long after it is ready. */
const LATEST_MS = 4_000;
const FIRST_PORT = 4600;
/** Not the card: whoever dies with it resets it for the others, who then need the PIN again. */
const KEY = "/root/killed-at-random";
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
 * Marks the jump host, starts sessions of all kinds (in memory, `--reattach` with a long lease), ends each farside with SIGKILL at a random moment, and then
 * runs `farside teardown --all` twice. The ports must take listeners again soon after. Resolves with what is not as it must be.
 */
export async function killAtRandom(
  lab: Lab,
  { sessions, alongside, seed }: KillAtRandomOptions,
): Promise<{ readonly problems: readonly string[]; readonly torn: number }> {
  await makeKey(lab);
  await lab.jump.mark();
  const random = new SeededRandom(seed);
  const plans = Array.from({ length: sessions }, (_, index) => ({
    port: FIRST_PORT + index,
    afterMs: random.below(LATEST_MS),
    options: index % 4 === 3 ? [] : ["--reattach", "--lease", "10m"],
  }));
  const problems: string[] = [];
  for (let at = 0; at < plans.length; at += alongside) {
    const killed = await Promise.all(plans.slice(at, at + alongside).map((plan) => killOne(lab, plan)));
    problems.push(...killed.flatMap((problem) => problem ?? []).map((problem) => `seed ${seed}: ${problem}`));
  }
  const ports = plans.map(({ port }) => port);
  const first = await teardownAll(lab);
  const held = await stillHeld(lab, ports);
  problems.push(...held.map((what) => `seed ${seed}: ${FREE_AGAIN_MS} ms after the teardown: ${what}`));
  const second = await teardownAll(lab);
  if (second.code !== 0 || second.receipts > 0)
    problems.push(`seed ${seed}: a second teardown found something: ${second.text}`);
  return { problems, torn: first.receipts };
}

async function killOne(
  lab: Lab,
  { port, afterMs, options }: { port: number; afterMs: number; options: readonly string[] },
): Promise<string | undefined> {
  const forward = ["forward", JUMP_LOGIN, "-L", `${port}:localhost:4444`, "--via", TARGET_LOGIN];
  const farside = runFarside(lab, [...forward, "--identity", KEY, ...options], { pin: false });
  await wait(afterMs);
  if (farside.process.hasEnded) return `a session ended by itself: ${farside.transcript}`;
  await farside.signal("SIGKILL");
  await farside.exit;
  return undefined;
}

async function teardownAll(lab: Lab): Promise<{ code: number | null; receipts: number; text: string }> {
  const farside = runFarside(lab, ["teardown", "--all"], { pin: false });
  const { code } = await farside.exit;
  const receipts = farside.process.stdout.split("\n").filter((line) => line.startsWith("{")).length;
  return { code, receipts, text: farside.transcript };
}

async function makeKey(lab: Lab): Promise<void> {
  const { workstation } = lab;
  await workstation.run(["sh", "-c", `[ -e ${KEY} ] || ssh-keygen -q -t ed25519 -N "" -f ${KEY}`]);
  await lab.authorize((await workstation.readFile(`${KEY}.pub`)).trim());
}

/** Which of the ports no listener can have, at each loopback address, within `FREE_AGAIN_MS`; and why. */
async function stillHeld({ jump }: Lab, ports: readonly number[]): Promise<string[]> {
  const script = `const until = performance.now() + ${FREE_AGAIN_MS};
    const listen = (host, port) => net.createServer().on("error", (error) => {
      if (performance.now() < until) setTimeout(listen, 50, host, port);
      else console.log(error.message);
    }).listen({ port, host, exclusive: true }, function () { this.close(); });
    for (const port of ${JSON.stringify(ports)}) for (const host of ["127.0.0.1", "::1"]) listen(host, port);`;
  return (await jump.run(["node", "-e", script], { user: jump.user })).split("\n").filter(Boolean);
}

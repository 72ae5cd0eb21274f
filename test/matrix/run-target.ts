import type { Host } from "../lab/host.ts";
import { startLab } from "../lab/lab.ts";
import type { LabProcess } from "../lab/lab-process.ts";
import { JUMP_LOGIN, runFarside, TARGET_LOGIN } from "../support/farside.ts";
import { isNothing } from "../support/leftovers.ts";
import { waitFor } from "../support/wait-for.ts";
import { fails } from "./cell.ts";
import { debianRoot } from "./debian-root.ts";
import { ECHO, ECHO_PORT, EXCHANGE, KEY } from "./exchange.ts";
import { startOtherServer } from "./other-servers.ts";
import { checkFailure, onlyError, sinceLogin } from "./run-cell.ts";
import type { TargetCell } from "./target-cells.ts";

export interface TargetOutcome {
  readonly cell: TargetCell;
  readonly problems: readonly string[];
  /** `works`, or the error's code. */
  readonly end: string;
  readonly transcript: string;
}

/** Labs at a time. */
const AT_A_TIME = 2;

/** Runs every cell, each on a lab of its own; the outcomes have the cells' order. */
export async function runTargets(
  cells: readonly TargetCell[],
  onOutcome: (outcome: TargetOutcome) => void,
): Promise<TargetOutcome[]> {
  const outcomes = new Map<string, TargetOutcome>();
  const waiting = [...cells];
  const worker = async () => {
    for (let cell = waiting.shift(); cell !== undefined; cell = waiting.shift()) {
      const outcome = await runTarget(cell);
      outcomes.set(cell.id, outcome);
      onOutcome(outcome);
    }
  };
  // A tree that two of them need is made once.
  for (const { server, jump } of cells)
    for (const release of [server.release, jump?.release])
      if (release !== undefined) await debianRoot(release);
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  return cells.flatMap(({ id }) => outcomes.get(id) ?? []);
}

/** Forwards through `cell`'s server. Never rejects for what farside does. */
async function runTarget(cell: TargetCell): Promise<TargetOutcome> {
  const { server, sshd = [], jump: jumpServer, jumpSshd, args = [], expect: expected } = cell;
  const root = server.release === undefined ? {} : { targetRoot: await debianRoot(server.release) };
  const jumpRoot = jumpServer?.release && { jumpRoot: await debianRoot(jumpServer.release) };
  await using lab = await startLab({ card: false, ...root, ...jumpRoot });
  const { workstation, jump, target } = lab;
  await workstation.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", KEY]);
  const key = (await workstation.readFile(`${KEY}.pub`)).trim();
  await lab.authorize(key);
  // AsyncSSH's server reads no other place.
  await target.writeFile(`/etc/ssh/matrix-keys/${target.user}`, `${key}\n`);
  await target.sshd.stop();
  if (jumpSshd !== undefined) {
    await jump.sshd.stop();
    await jump.sshd.start(jumpSshd);
  }
  const programs: LabProcess[] = [];
  if (server.program === "openssh") await target.sshd.start(sshd);
  else programs.push(await startOtherServer(target, server.program));
  const echo = target.spawn(["node", "-e", ECHO]);
  programs.push(echo);
  await waitFor(() => echo.stdout.includes("listening"), {
    what: "the echo service",
    detail: () => echo.stderr,
  });
  await Promise.all([jump.mark(), target.mark()]);

  const problems: string[] = [];
  const forward = ["forward", JUMP_LOGIN, "-L", `0:127.0.0.1:${ECHO_PORT}`, "--via", TARGET_LOGIN];
  const startedAt = performance.now();
  await using farside = runFarside(lab, [...forward, "--identity", KEY, "--log-level", "debug", ...args], {
    pin: false,
  });
  const ready = await farside.waitForEvent("ready", () => true, 60_000).catch(() => undefined);
  if (ready !== undefined) {
    const port = ready.forwards[0]?.bind[0]?.replace(/^.*:/, "") ?? "";
    const exchange = await jump.exec(["bash", "-c", EXCHANGE, port], { timeoutMs: 10_000 });
    if (!exchange.stdout.includes("equal"))
      problems.push(`no bytes came through: ${JSON.stringify(exchange)}`);
    const { receipt } = await farside.end();
    if (receipt?.clean !== true) problems.push(`the receipt is not clean: ${JSON.stringify(receipt)}`);
  }
  const { code } = await farside.exit;
  const endMs = performance.now() - startedAt;
  const error = onlyError(farside);
  const hasUncleanReceipt = farside.of("receipt").some(({ clean }) => !clean);
  if (fails(expected)) {
    const ms = sinceLogin(farside) ?? endMs;
    problems.push(...checkFailure(expected, { code, error, hasUncleanReceipt, ms }));
  } else {
    if (code !== 0 || ready === undefined) problems.push(`exit ${code}`);
    problems.push(...(await checkLogins(jump, "jump host")));
    if (server.program === "openssh") problems.push(...(await checkLogins(target, "target")));
  }
  for (const host of [jump, target]) {
    let left = await host.residue();
    const isClean = async () => {
      left = await host.residue();
      return isNothing(left);
    };
    await waitFor(isClean, { what: "nothing left", withinMs: 5_000 }).catch(() =>
      problems.push(`left on ${host.name}: ${JSON.stringify(left)}`),
    );
  }
  await Promise.all(programs.map((program) => program.kill()));
  const end = error?.code ?? (ready === undefined ? "nothing" : "works");
  return { cell, problems, end, transcript: farside.transcript };
}

/** One connection and one authentication, by sshd's own words. */
async function checkLogins(host: Host, name: string): Promise<string[]> {
  const log = await host.sshd.log();
  const [connections, logins] = [/^Connection from /gm, /^Accepted publickey for /gm].map(
    (line) => log.match(line)?.length ?? 0,
  );
  const isOne = connections === 1 && logins === 1;
  return isOne ? [] : [`${connections} connections and ${logins} authentications at the ${name}`];
}

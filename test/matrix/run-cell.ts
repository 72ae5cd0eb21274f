import { errorTable, type SessionEventOf } from "@farside/protocol";
import { type FarsideRun, runFarside } from "../support/farside.ts";
import { waitFor } from "../support/wait-for.ts";
import { type Cell, type Fails, fails, traitsOf, type Works } from "./cell.ts";
import { ECHO_PORT, EXCHANGE, KEY } from "./exchange.ts";
import { filledIn, homeOf, type MatrixLab } from "./matrix-lab.ts";

export interface Outcome {
  readonly cell: Cell;
  /** What was not as the table says; empty where the cell holds. */
  readonly problems: readonly string[];
  /** `works`, or the error's code. */
  readonly end: string;
  /** Until `ready`, or until farside ended. */
  readonly ms: number;
  readonly transcript: string;
}

/** A typed error has to come so soon after its cause can be known, and a teardown has to be over. */
const PROMPT_MS = 5_000;
/** Nothing may be left so long after the end. */
export const LEFT_MS = 5_000;

/** Runs farside against one cell and compares all that the table says about it. Never rejects for what farside does. */
export async function runCell(matrix: MatrixLab, cell: Cell): Promise<Outcome> {
  const { jump } = matrix.lab;
  const host = traitsOf(cell).find((trait) => trait.host !== undefined)?.host;
  if (host !== undefined) await jump.run(["bash", "-e", "-c", host.before]);
  const problems: string[] = [];
  const args = traitsOf(cell).flatMap((trait) => (trait.args ?? []).map((arg) => filledIn(arg, cell)));
  const startedAt = performance.now();
  await using farside = runFarside(
    matrix.lab,
    [
      ...["forward", matrix.login(cell), "-L", `0:127.0.0.1:${ECHO_PORT}`, "--identity", KEY],
      ...["--log-level", "debug", ...args],
    ],
    { pin: false },
  );
  const ended = farside.exit.then(() => performance.now() - startedAt);
  const ready = await farside.waitForEvent("ready", () => true, 60_000).catch(() => undefined);
  const readyMs = performance.now() - startedAt;
  if (ready !== undefined) problems.push(...(await useAndEnd(matrix, farside, ready, cell)));
  const endMs = await ended;
  const ms = ready === undefined ? endMs : readyMs;
  const error = onlyError(farside);
  const hasUncleanReceipt = farside.of("receipt").some(({ clean }) => !clean);
  const expected = cell.expect;
  const { code } = await farside.exit;
  if (fails(expected))
    problems.push(
      ...checkFailure(expected, { code, error, hasUncleanReceipt, ms: sinceLogin(farside) ?? endMs }),
    );
  else problems.push(...checkSuccess(expected, farside, { code, isReady: ready !== undefined }));
  problems.push(...(await checkLog(matrix, cell)), ...(await checkLeftovers(matrix, cell)));
  if (host !== undefined) await jump.run(["bash", "-e", "-c", host.after]);
  const end = error?.code ?? (ready === undefined ? "nothing" : "works");
  return { cell, problems, end, ms, transcript: farside.transcript };
}

async function useAndEnd(
  { lab }: MatrixLab,
  farside: FarsideRun,
  ready: SessionEventOf<"ready">,
  cell: Cell,
): Promise<string[]> {
  const problems: string[] = [];
  if (fails(cell.expect)) {
    // It comes late: something prints once the agent runs.
    await farside.waitForEvent("error", () => true, 10_000).catch(() => farside.signal("SIGINT"));
    return problems;
  }
  const port = ready.forwards[0]?.bind[0]?.replace(/^.*:/, "") ?? "";
  const exchange = await lab.jump.exec(["bash", "-c", EXCHANGE, port], { timeoutMs: 10_000 }).catch(String);
  const isEqual = typeof exchange === "object" && exchange.stdout.includes("equal");
  if (!isEqual) problems.push(`no bytes came through port ${port}: ${JSON.stringify(exchange)}`);
  const { receipt, ms } = await farside.end();
  if (receipt?.clean !== true) problems.push(`the receipt is not clean: ${JSON.stringify(receipt)}`);
  if (ms > PROMPT_MS) problems.push(`the teardown took ${Math.round(ms)} ms`);
  return problems;
}

function checkSuccess(
  { node, shows }: Works,
  farside: FarsideRun,
  { code, isReady }: { code: number | null; isReady: boolean },
): string[] {
  const problems: string[] = [];
  if (!isReady) problems.push("it was never ready");
  if (code !== 0) problems.push(`exit ${code}`);
  const found = farside.of("agent.ready")[0]?.node;
  if (node !== undefined && found !== node) problems.push(`ran on Node.js ${found}, not ${node}`);
  if (shows !== undefined && !shows.test(farside.process.stderr))
    problems.push(`stderr does not show ${shows}`);
  if (farside.strayLines.length > 0) problems.push(`stray lines on stdout: ${farside.strayLines.join("|")}`);
  return problems;
}

/** From the login to the jump host to the error, in ms; undefined where there was none of the two. */
export function sinceLogin(farside: FarsideRun): number | undefined {
  const [error, connected] = [farside.of("error").at(-1), farside.of("hop.connected")[0]];
  return error && connected && Date.parse(error.at) - Date.parse(connected.at);
}

/** The one error; undefined where there is none or more than one. */
export function onlyError(farside: FarsideRun): SessionEventOf<"error"> | undefined {
  const errors = farside.of("error");
  return errors.length === 1 ? errors[0] : undefined;
}

/** What of a failure is not as the table says. */
export function checkFailure(
  expected: Fails,
  found: {
    code: number | null;
    error: SessionEventOf<"error"> | undefined;
    hasUncleanReceipt: boolean;
    /** From the login to the error; from the start where there was none. */
    ms: number;
  },
): string[] {
  const { error, ms } = found;
  if (error === undefined) return [`not one error, exit ${found.code}`];
  const problems: string[] = [];
  if (error.code !== expected.code) problems.push(`${error.code}, not ${expected.code}`);
  if (found.code !== errorTable[expected.code].exit) problems.push(`exit ${found.code}`);
  if (expected.leg !== undefined && error.leg !== expected.leg) problems.push(`leg ${error.leg}`);
  const said = `${error.message} ${error.hint ?? ""}`;
  if (expected.says !== undefined && !expected.says.test(said))
    problems.push(`it does not say ${expected.says}`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none is what is looked for
  if (/[\x00-\x1f\x7f-\x9f]/.test(said)) problems.push("the error is not harmless");
  if (error.hint === undefined) problems.push("there is no hint");
  if (found.hasUncleanReceipt && !expected.isUnlookable) problems.push("the receipt is not clean");
  const limit = (expected.knownAfterMs ?? 0) + PROMPT_MS;
  if (ms > limit) problems.push(`it took ${Math.round(ms)} ms, more than ${limit}`);
  return problems;
}

/** One connection, one authentication: by sshd's own words. */
async function checkLog(matrix: MatrixLab, { id, expect }: Cell): Promise<string[]> {
  const { connections, logins } = await matrix.counts(id);
  const isRefused = fails(expect) && expect.code === "hop.auth-refused";
  const wanted = isRefused ? 0 : 1;
  return [
    ...(connections === 1 ? [] : [`${connections} connections, not 1`]),
    ...(logins === wanted ? [] : [`${logins} authentications, not ${wanted}`]),
  ];
}

/** Nothing of the account is left on the host, but what its own rc files started. */
async function checkLeftovers({ lab }: MatrixLab, cell: Cell): Promise<string[]> {
  const uid = (await lab.jump.run(["id", "-u", cell.id])).trim();
  const own = traitsOf(cell).flatMap(({ leaves }) => leaves ?? []);
  const mine = async (): Promise<string[]> => {
    const { processes, listeners, files } = await lab.jump.residue();
    return [
      ...processes.filter((line) => line.includes(` uid ${uid} `) || line.includes(`sshd: ${cell.id}`)),
      ...listeners.filter((line) => line.endsWith(` uid ${uid}`)),
      ...files.filter((path) => path.startsWith(`${homeOf(cell)}/`)),
    ];
  };
  let found: string[] = [];
  const isNothing = async () => {
    found = (await mine()).filter((line) => !own.some((pattern) => pattern.test(line)));
    return found.length === 0;
  };
  await waitFor(isNothing, { what: "nothing left", withinMs: LEFT_MS, everyMs: 100 }).catch(() => {});
  if (own.length > 0) await lab.jump.exec(["pkill", "-KILL", "-u", uid]);
  return found.map((line) => `left: ${line}`);
}

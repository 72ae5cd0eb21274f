import { once } from "node:events";
import { readdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import type { SessionEvent, SessionEventName, SessionEventOf } from "@farside/protocol";
import { type Sshd, startSshd } from "@farside/ssh/testing";
import { waitFor } from "../support/wait-for.ts";
import { type CliRun, plainEnvironment, startCli } from "./run-cli.ts";

/** A real sshd on this machine as the jump host, and something behind it that echoes. */
export interface Loopback extends AsyncDisposable {
  readonly sshd: Sshd;
  /** `user@127.0.0.1` */
  readonly host: string;
  readonly echoPort: number;
  readonly knownHosts: string;
  /** XDG_STATE_HOME of the runs. */
  readonly stateHome: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Options that log in to it. */
  readonly login: readonly string[];
  /** Arguments of a forward to the echo, on a free port. */
  job(...more: string[]): string[];
  /** Starts that forward. */
  start(...more: string[]): CliRun;
}

export async function startLoopback(): Promise<Loopback> {
  const sshd = await startSshd();
  const knownHosts = sshd.folder.file("known_hosts");
  const lines = sshd.hostKeys.map(({ line }) => `[127.0.0.1]:${sshd.port} ${line}`);
  await writeFile(knownHosts, `${lines.join("\n")}\n`);
  const echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined).pipe(socket);
  });
  await once(echo.listen(0, "127.0.0.1"), "listening");
  const address = echo.address();
  const echoPort = address !== null && typeof address === "object" ? address.port : 0;
  const host = `${sshd.user}@127.0.0.1`;
  const stateHome = sshd.folder.file("state");
  const environment = plainEnvironment({ XDG_STATE_HOME: stateHome });
  const login = ["-F", "none", "--identity", sshd.userKey.path, "--known-hosts", knownHosts];
  const job = (...more: string[]) => [
    ...["forward", host, "-p", String(sshd.port), ...login],
    ...["-L", `0:127.0.0.1:${echoPort}`, ...more],
  ];
  return {
    ...{ sshd, host, echoPort, knownHosts, stateHome, environment, login, job },
    start: (...more) => startCli(job(...more), { env: environment }),
    async [Symbol.asyncDispose]() {
      echo.close();
      await sshd[Symbol.asyncDispose]();
    },
  };
}

/** The events among whole lines of JSON. */
export function eventsOf(text: string): SessionEvent[] {
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  return whole.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as SessionEvent]));
}

/** The first event of that name in the run's `--json` output, past ones included. */
export async function eventOf<Name extends SessionEventName>(
  run: CliRun,
  name: Name,
): Promise<SessionEventOf<Name>> {
  return waitFor(() => eventsOf(run.stdout).find((one): one is SessionEventOf<Name> => one.event === name), {
    what: `event ${name}`,
    withinMs: 30_000,
    detail: () => `${run.stdout}\n${run.stderr}`,
  });
}

/** The port that the first forward listens on. */
export function portOf({ forwards: [forward] }: SessionEventOf<"ready">): number {
  return Number(forward?.bind[0]?.split(":").at(-1));
}

/** The folders that sessions have on the workstation, beside the audit log. */
export async function storedSessions({ stateHome }: Pick<Loopback, "stateHome">): Promise<string[]> {
  const entries = await readdir(join(stateHome, "farside"), { withFileTypes: true }).catch(() => []);
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
}

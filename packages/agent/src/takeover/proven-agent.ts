import { readFile, readlink } from "node:fs/promises";
import os from "node:os";
import { basename } from "node:path";
import { processStart } from "@farside/protocol/process-start";
import { COMMAND_VARIABLE, RUN_VARIABLE } from "../command/command-table.ts";
import { parseAgentTitle } from "./agent-title.ts";
import { controlSocketOf } from "./control-socket-of.ts";

/** A process that is a farside agent of this user, and not only one that is called so. */
export interface ProvenAgent {
  readonly pid: number;
  /** When it started: another process with that pid has another. */
  readonly start: string;
  readonly session: string;
  /** The nonce of its deploy. */
  readonly run: string;
  /** For how long its lease has been over, in s; negative while it is held. Undefined where it has none. */
  readonly leaseOverForS: number | undefined;
  /** Path of its control socket, where it has one. */
  readonly control: string | undefined;
}

/**
 * What proves it: all its user ids are ours, it was started by a deploy (`FARSIDE_RUN` in its environment) and is no command that an agent
 * runs, its program is Node.js, its title is an agent's, and it was the same process all the while. Undefined where one of these is not so.
 */
export async function proveAgent(pid: number, uid: number): Promise<ProvenAgent | undefined> {
  if (pid === process.pid) return undefined;
  const start = await processStart(pid);
  if (start === undefined) return undefined;
  try {
    const folder = `/proc/${pid}`;
    const [status, environment, commandLine, program, control] = await Promise.all([
      readFile(`${folder}/status`, "utf8"),
      readFile(`${folder}/environ`, "utf8"),
      readFile(`${folder}/cmdline`, "utf8"),
      readlink(`${folder}/exe`),
      controlSocketOf(pid),
    ]);
    const variables = environment.split("\0");
    const run = variables.find((each) => each.startsWith(`${RUN_VARIABLE}=`))?.slice(RUN_VARIABLE.length + 1);
    const title = parseAgentTitle(commandLine.replace(/\0+$/, ""));
    const isOurs = uidsIn(status).every((each) => each === uid) && uidsIn(status).length === 4;
    const isCommand = variables.some((each) => each.startsWith(`${COMMAND_VARIABLE}=`));
    const isNode = /^node/.test(basename(program));
    if (!isOurs || isCommand || !isNode || title === undefined) return undefined;
    if (run === undefined || !/^[0-9a-f]{32}$/.test(run)) return undefined;
    if ((await processStart(pid)) !== start) return undefined;
    const { session, leaseUntil } = title;
    const leaseOverForS = leaseUntil === undefined ? undefined : os.uptime() - leaseUntil;
    return {
      ...{ pid, start, session, run, leaseOverForS },
      control: control?.of === session ? control.path : undefined,
    };
  } catch {
    return undefined;
  }
}

function uidsIn(status: string): number[] {
  const line = /^Uid:\s+(.*)$/m.exec(status)?.[1] ?? "";
  return line.split(/\s+/).map(Number);
}

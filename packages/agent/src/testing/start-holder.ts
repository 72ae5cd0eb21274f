import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { agentTitle, leaseUntil } from "../takeover/agent-title.ts";
import { newRun } from "./new-run.ts";

/** The deploy of every holder that is not given another. */
export const RUN = newRun();

export interface HolderOptions {
  /** Default: of an agent of the session `old`, whose lease is held. */
  readonly title?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Arguments of `listen`; default: a free port of 127.0.0.1. */
  readonly listen?: string;
  /** What it does before. */
  readonly more?: string;
}

export interface Holder {
  readonly pid: number;
  readonly child: ChildProcess;
  /** What it listens on, where that is a port. */
  readonly port: number;
}

/** A process that listens, with the title and the environment of an agent, or of something that is like one. The caller ends it. */
export async function startHolder({
  title = agentTitle("old", leaseUntil(60_000)),
  env = { FARSIDE_RUN: RUN },
  listen = "0, '127.0.0.1'",
  more = "",
}: HolderOptions = {}): Promise<Holder> {
  const script = `${more}; process.title = ${JSON.stringify(title)};
    const s = require("net").createServer((c) => c.destroy());
    s.listen(${listen}, () => console.log(s.address().port ?? 0))`;
  // Room for the title.
  const child = spawn(process.execPath, ["-e", script, "x".repeat(100)], {
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [port] = await once(createInterface({ input: child.stdout }), "line");
  return { pid: child.pid ?? 0, child, port: Number(port) };
}

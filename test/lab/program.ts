import { fileURLToPath } from "node:url";
import type { Host } from "./host.ts";
import { oneFile } from "./one-file.ts";

/** Programs of the lab that run on its hosts: files in `programs/`. */
export type ProgramName =
  | "signing-service"
  | "build-job"
  | "byte-service"
  | "byte-client"
  | "fake-target"
  | "script-player"
  | "hostile-agent"
  | "hostile-target"
  | "steady-client"
  | "relay-crowd"
  | "short-relays";

/** The command lines of those that are on a host, or on their way there. */
const installed = new WeakMap<Host, Map<ProgramName, Promise<string[]>>>();

/**
 * Puts a program on `host` as one plain JavaScript file and returns the command line that starts it. Hosts but the
 * workstation don't see the checkout, as real ones would not. It is put there once: written again, it would be empty for a
 * moment in which somebody else starts it.
 */
export function installProgram(host: Host, name: ProgramName): Promise<string[]> {
  const there = installed.get(host) ?? new Map<ProgramName, Promise<string[]>>();
  installed.set(host, there);
  const command = there.get(name) ?? install(host, name);
  there.set(name, command);
  return command;
}

async function install(host: Host, name: ProgramName): Promise<string[]> {
  const path = `/opt/lab/${name}.cjs`;
  await host.writeFile(path, await programText(name));
  return ["node", path];
}

/** A program as one plain JavaScript (CommonJS) text. */
export function programText(name: ProgramName): Promise<string> {
  return oneFile(fileURLToPath(new URL(`./programs/${name}.ts`, import.meta.url)));
}

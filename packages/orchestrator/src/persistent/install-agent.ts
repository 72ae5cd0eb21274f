import { CodedError, type HostLook, type InstalledConfig, putAgent } from "@farside/protocol";
import { newNonce } from "../bootstrap.ts";
import type { AgentRecord, AgentStore } from "./agent-store.ts";
import type { BuildServer } from "./build-server.ts";

export type Supervisor = HostLook["supervisor"];

export interface InstallAgentOptions {
  readonly server: BuildServer;
  readonly look: HostLook;
  readonly config: InstalledConfig;
  /** Default: systemd, else a daemon where the host has no systemd at all. */
  readonly supervisor?: Supervisor | undefined;
  readonly store: AgentStore;
  readonly record: Omit<AgentRecord, "version" | "name" | "run">;
  readonly signal: AbortSignal;
}

export interface InstalledAgentFacts {
  readonly control: string;
  readonly digest: string;
  readonly supervisor: Supervisor;
  /** What the operator must know: what ends the agent, and how to change that. */
  readonly warnings: readonly string[];
}

/**
 * Puts an agent on the build server and starts it. Everything that will be made is in the undo log before it is. Rejects with
 * `agent.unsupported-host`, `agent.would-not-survive` or `agent.start-failed`; then nothing is left of it.
 */
export async function installAgent(options: InstallAgentOptions): Promise<InstalledAgentFacts> {
  const { server, look, config, store, record, signal } = options;
  const supervisor = chooseSupervisor(look, options.supervisor, server.host);
  const run = newNonce();
  await store.write({ version: 1, name: config.name, run, ...record });
  await store.making(look.files);
  try {
    const { control, digest } = await server.installer.ask(putAgent, { config, run, supervisor }, signal);
    return { control, digest, supervisor, warnings: warningsOf(look, supervisor) };
  } catch (error) {
    // An answer means that it was undone there; without one nobody knows, and uninstall will look.
    if (error instanceof CodedError && error.code.startsWith("agent.") && error.code !== "agent.gone")
      await store.forget();
    throw error;
  }
}

function chooseSupervisor(look: HostLook, wanted: Supervisor | undefined, host: string): Supervisor {
  if (wanted === "daemon") return "daemon";
  if (look.supervisor === "systemd") return "systemd";
  if (!look.hasSystemd && wanted === undefined) return "daemon";
  throw new CodedError(
    "agent.unsupported-host",
    `installing on ${host} for systemd: ${look.whyNot ?? "it can't be used"}`,
    {
      leg: "jump",
      hint: look.hasSystemd
        ? `Turn lingering on there, as root: loginctl enable-linger ${look.user}. Or take --supervisor daemon, which does not survive a reboot.`
        : "Take --supervisor daemon, which does not survive a reboot.",
    },
  );
}

function warningsOf({ isLingering, user, whyNot }: HostLook, supervisor: Supervisor): string[] {
  if (supervisor === "daemon")
    return [`the agent won't survive a reboot of the host${whyNot === undefined ? "" : `: ${whyNot}`}`];
  if (isLingering) return [];
  return [
    `lingering is off for ${user}: the agent ends with that user's last login. Turn it on there, as root: loginctl enable-linger ${user}`,
  ];
}

import { type Installation, type InstalledConfig, type Receipt, removeAgent } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { makeReceipt } from "../receipt.ts";
import type { AgentStore } from "./agent-store.ts";
import type { BuildServer } from "./build-server.ts";

export interface UninstallAgentOptions {
  readonly server: BuildServer;
  /** Borrowed; looks by itself whether anything is left. */
  readonly hop: Pick<Hop, "exec">;
  /** Undefined: nothing is installed there any more; it is looked for all the same. */
  readonly installation: Installation | undefined;
  readonly name: string;
  readonly store: AgentStore;
  readonly signal: AbortSignal;
}

/**
 * Stops an agent, removes all that was made for it, and looks at the host, apart from the installer, for what is left: processes by
 * their mark, listeners by their port, files by the undo log. The record here goes when nothing is.
 */
export async function uninstallAgent(options: UninstallAgentOptions): Promise<Receipt> {
  const { server, hop, installation, name, store, signal } = options;
  const record = await store.read();
  const files = new Set([...(await store.made()), ...(installation?.files ?? [])]);
  if (installation !== undefined) {
    const { removed } = await server.installer.ask(removeAgent, { name }, signal);
    for (const path of removed) files.add(path);
  }
  const nonce = installation?.run ?? record?.run;
  if (nonce === undefined)
    return { session: name, host: server.host, processes: [], listeners: [], files: [], clean: true };
  const traces = { nonce, ports: portsOf(installation?.config), sockets: [...files] };
  const receipt = await makeReceipt({ session: name, host: server.host, hop, traces, signal });
  if (receipt.clean) await store.forget();
  return receipt;
}

function portsOf(config: InstalledConfig | undefined): number[] {
  const ports = (config?.forwards ?? []).flatMap(({ bind }) =>
    bind.kind === "unix" || bind.port === 0 ? [] : [bind.port],
  );
  if (config?.metricsPort !== undefined && config.metricsPort !== 0) ports.push(config.metricsPort);
  return [...new Set(ports)];
}

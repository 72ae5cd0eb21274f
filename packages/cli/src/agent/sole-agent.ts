import { DEFAULT_AGENT_NAME, findInstallation } from "@farside/orchestrator";
import type { HostLook } from "@farside/protocol";

/**
 * The agent that is meant where no name is given: the one that there is, else the one of the default name. Throws `agent.not-installed`.
 * Not for `uninstall`: run twice, it would take the next one.
 */
export function soleAgent({ installed }: Pick<HostLook, "installed">, host: string): string {
  const [only, ...others] = installed;
  if (only !== undefined && others.length === 0) return only.name;
  return findInstallation({ installed }, DEFAULT_AGENT_NAME, host).name;
}

import { type LoginOptions, parseHopList, parseHopSpec } from "@farside/orchestrator";
import { resolveHost } from "@farside/ssh";
import type { CommandContext } from "../command-context.ts";
import { chooseIdentity, type IdentityChoice, type IdentityWish } from "./choose-identity.ts";

/** Decides what logs in. Only ssh_config of the jump host can say that a card does where the command line does not. */
export async function decideIdentity(
  wish: IdentityWish,
  {
    jump,
    via,
    configFile,
    sshOptions,
  }: LoginOptions & { readonly via?: string | readonly string[] | undefined },
  { env, interrupts: { signal } }: CommandContext,
): Promise<{ choice: IdentityChoice; isBatch: boolean }> {
  const { host, user, port } = parseHopSpec(jump, "the jump host");
  const [config] = await Promise.all([
    resolveHost(host, { configFile, user, port, overrides: sshOptions, signal }),
    // The session will ask about these, and has the answer then.
    ...parseHopList(via ?? [], "--via").map((hop) =>
      resolveHost(hop.host, { configFile, user: hop.user, port: hop.port, signal }).catch(() => {}),
    ),
  ]);
  return { choice: chooseIdentity(wish, config, env), isBatch: config.batchMode };
}

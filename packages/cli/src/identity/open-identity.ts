import { openIdentity as openSshIdentity } from "@farside/orchestrator";
import { type CardEvents, openCard, type PinSource } from "@farside/smartcard";
import type { HostConfig, Identity, KeyFileOptions } from "@farside/ssh";
import type { IdentityChoice, IdentityWish } from "./choose-identity.ts";

export interface OpenIdentityOptions {
  readonly choice: IdentityChoice;
  readonly wish: IdentityWish;
  /** ssh_config of every host on the way, the last one's first of all. */
  readonly configs: readonly HostConfig[];
  /** Borrowed. */
  readonly pinSource: PinSource;
  readonly passphrase: KeyFileOptions["passphrase"];
  readonly cardEvents: CardEvents;
  readonly signal: AbortSignal;
}

/** Opens what logs in to a host where no session is started: the card, the ssh-agent or a key file. The caller closes it. */
export async function openIdentity(options: OpenIdentityOptions): Promise<Identity> {
  const { choice, wish, configs, pinSource, passphrase, cardEvents: events, signal } = options;
  if (choice.kind === "card") {
    const { provider, uri } = choice;
    const { token, key, "pin-pad": pinPad = false } = wish;
    return openCard({ provider, uri, token, key, pinPad, pinSource, events, signal, login: "on-sign" });
  }
  return (await openSshIdentity({ choice: choice.identity, configs, passphrase })).identity;
}

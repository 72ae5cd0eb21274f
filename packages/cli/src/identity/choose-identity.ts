import { isPkcs11Uri, parsePkcs11Uri } from "@farside/smartcard";
import type { HostConfig } from "@farside/ssh";
import type { PinOrigin } from "../options/pin-source.ts";

/** What of the command line chooses the identity. */
export interface IdentityWish {
  readonly identity?: string | undefined;
  readonly "pkcs11-provider"?: string | undefined;
  readonly token?: string | undefined;
  readonly key?: string | undefined;
  readonly "pin-source"?: PinOrigin | undefined;
  readonly "pin-pad"?: boolean | undefined;
  readonly "on-card-removal"?: string | undefined;
}

export type IdentityConfig = Pick<HostConfig, "pkcs11Provider">;

/** What is to log in, decided before anything is opened. */
export type IdentityChoice =
  | {
      readonly kind: "card";
      readonly provider: string | undefined;
      readonly uri: string | undefined;
      /** `--pin-source`, else that of the pkcs11: URI. */
      readonly pinOrigin: PinOrigin | undefined;
    }
  /** The orchestrator opens these: the ssh-agent, a key file, or what ssh would use. */
  | { readonly kind: "ssh"; readonly identity: string | undefined };

/** Decides what logs in, by the command line, ssh_config for the jump host, and the environment. Throws `usage.invalid`. */
export function chooseIdentity(
  wish: IdentityWish,
  config: IdentityConfig,
  env: Readonly<Record<string, string | undefined>>,
): IdentityChoice {
  const provider =
    wish["pkcs11-provider"] ?? config.pkcs11Provider ?? (env["FARSIDE_PKCS11_PROVIDER"] || undefined);
  const pinOrigin = wish["pin-source"];
  const { identity } = wish;
  if (identity === undefined) {
    const isCardWish =
      [wish.token, wish.key, wish["on-card-removal"], pinOrigin].some((value) => value !== undefined) ||
      wish["pin-pad"] === true;
    if (provider !== undefined || isCardWish) return { kind: "card", provider, uri: undefined, pinOrigin };
    return { kind: "ssh", identity };
  }
  if (identity === "card") return { kind: "card", provider, uri: undefined, pinOrigin };
  if (!isPkcs11Uri(identity)) return { kind: "ssh", identity };
  const uri = parsePkcs11Uri(identity);
  const file = uri.pinSource?.replace(/^file:/, "");
  return {
    kind: "card",
    // What the URI says of the module is nearer than what is configured.
    provider: wish["pkcs11-provider"] ?? uri.modulePath ?? provider,
    uri: identity,
    pinOrigin: pinOrigin ?? (file === undefined ? undefined : { kind: "file", path: file }),
  };
}

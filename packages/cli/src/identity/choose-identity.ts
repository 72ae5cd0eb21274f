import { basename } from "node:path";
import { parsePkcs11Uri } from "@farside/smartcard";
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
}

export type IdentityConfig = Pick<
  HostConfig,
  "identityFiles" | "identitiesOnly" | "identityAgent" | "pkcs11Provider"
>;

/** What is to log in, decided before anything is opened. */
export type IdentityChoice =
  | {
      readonly kind: "card";
      readonly provider: string | undefined;
      readonly uri: string | undefined;
      /** `pin-source` of a pkcs11: URI, where the command line has none. */
      readonly pinOrigin: PinOrigin | undefined;
    }
  | { readonly kind: "agent"; readonly socketPath: string | undefined }
  | { readonly kind: "file"; readonly path: string }
  /** As ssh: the agent's keys where it has any, else the key files; those that ssh_config names come first. */
  | {
      readonly kind: "usual";
      readonly socketPath: string | undefined;
      readonly files: readonly string[];
      /** ssh_config names the files. */
      readonly isExplicit: boolean;
      readonly onlyFiles: boolean;
    };

/** Decides what logs in, by the command line, ssh_config for the jump host, and the environment. Throws `usage.invalid`. */
export function chooseIdentity(
  wish: IdentityWish,
  config: IdentityConfig,
  env: Readonly<Record<string, string | undefined>>,
): IdentityChoice {
  const provider =
    wish["pkcs11-provider"] ?? config.pkcs11Provider ?? (env["FARSIDE_PKCS11_PROVIDER"] || undefined);
  const socketPath = agentSocket(config, env);
  const pinOrigin = wish["pin-source"];
  const { identity } = wish;
  if (identity === undefined) {
    const isCardWish =
      [wish.token, wish.key, pinOrigin].some((value) => value !== undefined) || wish["pin-pad"] === true;
    if (provider !== undefined || isCardWish) return { kind: "card", provider, uri: undefined, pinOrigin };
    return usual(config, socketPath);
  }
  if (identity === "card") return { kind: "card", provider, uri: undefined, pinOrigin };
  if (identity === "agent") return { kind: "agent", socketPath };
  if (!/^pkcs11:/i.test(identity)) return { kind: "file", path: identity };
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

function usual(config: IdentityConfig, socketPath: string | undefined): IdentityChoice {
  const { identityFiles: files, identitiesOnly: onlyFiles } = config;
  return {
    kind: "usual",
    socketPath,
    files,
    isExplicit: files.some((file) => !isDefaultFile(file)),
    onlyFiles,
  };
}

/** The key files that ssh(1) tries where none is configured. */
function isDefaultFile(path: string): boolean {
  return (
    /\/\.ssh\/[^/]+$/.test(path) &&
    /^id_(rsa|dsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk|xmss)$/.test(basename(path))
  );
}

function agentSocket(
  { identityAgent }: IdentityConfig,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (identityAgent === "none") return undefined;
  return identityAgent ?? (env["SSH_AUTH_SOCK"] || undefined);
}

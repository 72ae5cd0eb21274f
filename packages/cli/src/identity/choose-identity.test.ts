import { describe, expect, test } from "vitest";
import { chooseIdentity, type IdentityConfig } from "./choose-identity.ts";

const config: IdentityConfig = { pkcs11Provider: undefined };
const agentEnv = { SSH_AUTH_SOCK: "/run/agent" };

describe("without --identity", () => {
  test("the card, where a PKCS#11 provider is given or configured, in that order", () => {
    const env = { FARSIDE_PKCS11_PROVIDER: "/env.so", ...agentEnv };
    const withConfig = { ...config, pkcs11Provider: "/config.so" };
    expect(chooseIdentity({ "pkcs11-provider": "/flag.so" }, withConfig, env)).toMatchObject({
      provider: "/flag.so",
    });
    expect(chooseIdentity({}, withConfig, env)).toMatchObject({ kind: "card", provider: "/config.so" });
    expect(chooseIdentity({}, config, env)).toMatchObject({ kind: "card", provider: "/env.so" });
  });

  test("an option that only a card has a use for asks for the card", () => {
    for (const wish of [
      { token: "PIV" },
      { key: "9a" },
      { "pin-source": { kind: "tty" } },
      { "pin-pad": true },
      { "on-card-removal": "close" },
    ] as const) {
      expect(chooseIdentity(wish, config, agentEnv)).toMatchObject({ kind: "card", provider: undefined });
    }
  });

  test("else what ssh would use", () => {
    expect(chooseIdentity({}, config, agentEnv)).toEqual({ kind: "ssh", identity: undefined });
  });
});

describe("--identity", () => {
  test("card, agent and files", () => {
    expect(chooseIdentity({ identity: "card" }, config, agentEnv)).toMatchObject({
      kind: "card",
      provider: undefined,
    });
    expect(chooseIdentity({ identity: "agent" }, config, agentEnv)).toEqual({
      kind: "ssh",
      identity: "agent",
    });
    expect(chooseIdentity({ identity: "./card" }, config, agentEnv)).toEqual({
      kind: "ssh",
      identity: "./card",
    });
  });

  test("a pkcs11: URI names the card, and may name the module and where the PIN is", () => {
    const identity = "pkcs11:token=PIV?module-path=/uri.so&pin-source=file:/run/pin";
    const env = { FARSIDE_PKCS11_PROVIDER: "/env.so" };
    expect(chooseIdentity({ identity }, config, env)).toEqual({
      kind: "card",
      provider: "/uri.so",
      uri: identity,
      pinOrigin: { kind: "file", path: "/run/pin" },
    });
    const flags = { identity, "pkcs11-provider": "/flag.so", "pin-source": { kind: "tty" } } as const;
    expect(chooseIdentity(flags, config, env)).toMatchObject({
      provider: "/flag.so",
      pinOrigin: { kind: "tty" },
    });
  });

  test("a URI that holds the PIN is refused without repeating it", () => {
    const choose = () => chooseIdentity({ identity: "pkcs11:token=a?pin-value=4711" }, config, {});
    expect(choose).toThrow(/pin-value would show the PIN/);
    expect(choose).not.toThrow(/4711/);
  });
});

import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { chooseIdentity, type IdentityWish } from "./choose-identity.ts";
import { noteOf, wishOf } from "./identity-note.ts";

const config = { pkcs11Provider: undefined };
const choiceOf = (wish: IdentityWish, env = {}) => chooseIdentity(wish, config, env);
const note = (wish: IdentityWish, env = {}) => noteOf(choiceOf(wish, env), wish);

describe("the note of an identity", () => {
  test.each<[string, IdentityWish, NodeJS.ProcessEnv]>([
    ["the default", {}, {}],
    ["the ssh-agent", { identity: "agent" }, {}],
    ["a key file", { identity: "/keys/id" }, {}],
    ["a card", { identity: "card", token: "desk", key: "9a", "pin-pad": true }, {}],
    ["a card of the environment", { token: "desk" }, { FARSIDE_PKCS11_PROVIDER: "/lib/p11.so" }],
    ["a URI", { identity: "pkcs11:token=desk?module-path=/lib/p11.so" }, {}],
  ])("of %s opens the same one again, without the environment", (_what, wish, env) => {
    const before = choiceOf(wish, env);
    const { token, key, ...after } = wishOf(note(wish, env), {});
    expect(choiceOf({ token, key, ...after })).toEqual(before);
    expect([token, key, after["pin-pad"]]).toEqual([wish.token, wish.key, wish["pin-pad"]]);
  });

  test("holds from any folder", () => {
    expect(note({ identity: "keys/id" })).toEqual({ identity: resolve("keys/id") });
    expect(note({ identity: "~/.ssh/id" })).toEqual({ identity: join(homedir(), ".ssh/id") });
    expect(note({ "pkcs11-provider": "./p11.so" })).toMatchObject({ "pkcs11-provider": resolve("p11.so") });
    expect(note({ "pkcs11-provider": "p11.so" })).toMatchObject({ "pkcs11-provider": "p11.so" });
  });

  test("has nothing of where the PIN comes from", () => {
    expect(note({ identity: "card", "pin-source": { kind: "env", name: "MY_PIN" } })).toEqual({
      identity: "card",
    });
  });
});

test("what is given now wins as a whole, but a PIN source is no choice of an identity", () => {
  const kept = { identity: "card", token: "desk", key: "9a" };
  expect(wishOf(kept, { identity: "agent" })).toEqual({ identity: "agent" });
  expect(wishOf(kept, { token: "other" })).toEqual({ token: "other" });
  expect(wishOf(kept, { F: "none", all: true } as IdentityWish)).toMatchObject(kept);
  const pinSource = { kind: "fd", fd: 3 } as const;
  expect(wishOf(kept, { "pin-source": pinSource })).toMatchObject({ ...kept, "pin-source": pinSource });
});

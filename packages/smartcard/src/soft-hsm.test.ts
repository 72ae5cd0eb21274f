import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CardIdentity } from "./card-identity.ts";
import { listKeys, listTokens } from "./list-card.ts";
import { type OpenCardOptions, openCard } from "./open-card.ts";
import { testSignature } from "./test-signature.ts";
import { scriptedPinSource } from "./testing/scripted-pin-source.ts";
import { type SoftHsm, softHsmPin, startSoftHsm } from "./testing/soft-hsm.ts";

const keys = [
  { type: "rsa:2048", id: "01", label: "rsa" },
  { type: "EC:prime256v1", id: "02", label: "p256" },
  { type: "EC:secp384r1", id: "03", label: "p384" },
  { type: "EC:secp521r1", id: "04", label: "p521" },
  { type: "EC:edwards25519", id: "05", label: "ed25519" },
];

describe("a SoftHSM2 token", () => {
  let hsm: SoftHsm;
  beforeAll(async () => {
    hsm = await startSoftHsm("soft", keys);
  });
  afterAll(async () => {
    await hsm[Symbol.asyncDispose]();
  });

  it("signs with every kind of key after one PIN entry", async () => {
    const pinSource = scriptedPinSource([softHsmPin]);
    await using card = await openCard({ ...hsm.options, pinSource });
    const tested = [];
    for (const publicKey of await card.publicKeys()) {
      const { algorithm } = await testSignature(card, { publicKey });
      tested.push([publicKey.comment, algorithm]);
    }
    expect(tested.sort()).toEqual([
      ["ed25519", "ssh-ed25519"],
      ["p256", "ecdsa-sha2-nistp256"],
      ["p384", "ecdsa-sha2-nistp384"],
      ["p521", "ecdsa-sha2-nistp521"],
      ["rsa", "rsa-sha2-512"],
    ]);
    expect(pinSource.asked).toMatchObject([{ token: "soft", reason: "first" }]);
  });

  it("shows its tokens and keys without a PIN", async () => {
    const { tokens } = await listTokens({ ...hsm.options });
    expect(tokens).toMatchObject([{ label: "soft", model: "SoftHSM v2", pin: "ok", pinPad: false }]);
    const listed = await listKeys({ ...hsm.options });
    expect(listed.needsLogin).toEqual([]);
    expect(listed.keys.map(({ id, label, type }) => [id, label, type])).toEqual([
      ["01", "rsa", "ssh-rsa"],
      ["02", "p256", "ecdsa-sha2-nistp256"],
      ["03", "p384", "ecdsa-sha2-nistp384"],
      ["04", "p521", "ecdsa-sha2-nistp521"],
      ["05", "ed25519", "ssh-ed25519"],
    ]);
  });
});

describe("several SoftHSM2 tokens", () => {
  let hsm: SoftHsm;
  const key = { type: "EC:prime256v1", id: "01", label: "a key" };
  beforeAll(async () => {
    hsm = await startSoftHsm("empty", []);
    await hsm.addToken("work", [key]);
  });
  afterAll(async () => {
    await hsm[Symbol.asyncDispose]();
  });
  const open = (more: Partial<OpenCardOptions> = {}): Promise<CardIdentity> =>
    openCard({ ...hsm.options, pinSource: scriptedPinSource([softHsmPin]), ...more });

  it("are told apart by their keys, by their label, and by a URI", async () => {
    // The empty one may hide its keys, but the other one shows some.
    await using only = await open();
    expect(only.tokenLabel).toBe("work");

    await hsm.addToken("home", [{ ...key, id: "02" }]);
    await expect(open()).rejects.toMatchObject({
      code: "config.invalid",
      message: expect.stringMatching(/"(work|home)".*"(work|home)"/),
    });
    await using byLabel = await open({ token: "home" });
    expect(byLabel.tokenLabel).toBe("home");
    await using byKey = await open({ key: "02" });
    expect(byKey.tokenLabel).toBe("home");
    await using byUri = await open({ uri: "pkcs11:token=work;object=a%20key" });
    expect(byUri.tokenLabel).toBe("work");
    await using byUriWithoutProvider = await open({
      provider: undefined,
      uri: `pkcs11:token=home;id=%02?module-path=${hsm.provider}`,
    });
    expect(byUriWithoutProvider.tokenLabel).toBe("home");
  });

  it("are listed all, or the one that is asked for, with its keys or the one that is asked for", async () => {
    const list = async (more: { token?: string; key?: string } = {}) => {
      const { tokens } = await listTokens({ ...hsm.options, withKeys: true, ...more });
      return Object.fromEntries(tokens.map(({ label, keys: shown }) => [label, shown?.map(({ id }) => id)]));
    };
    expect(await list()).toMatchObject({ empty: [], work: ["01"], home: ["02"] });
    expect(await list({ token: "home" })).toEqual({ home: ["02"] });
    expect(await list({ key: "02" })).toMatchObject({ work: [], home: ["02"] });
    await expect(list({ token: "nobody's" })).rejects.toMatchObject({ code: "card.no-token" });
  });

  it("a token without keys is named, before a PIN where it needs none", async () => {
    await expect(open({ token: "empty" })).rejects.toMatchObject({
      code: "card.no-key",
      message: expect.stringContaining('"empty"'),
    });
  });

  it("a token that hides its keys is logged in to for them", async () => {
    await hsm.addToken("hidden", [{ ...key, isHidden: true }]);
    const listed = await listKeys({ ...hsm.options, token: "hidden" });
    expect(listed).toEqual({ keys: [], needsLogin: ["hidden"] });
    const pinSource = scriptedPinSource([softHsmPin]);
    await using card = await open({ token: "hidden", login: "on-sign", pinSource });
    expect(await card.publicKeys()).toHaveLength(1);
    await expect(testSignature(card)).resolves.toMatchObject({ algorithm: "ecdsa-sha2-nistp256" });
    expect(pinSource.asked).toHaveLength(1);
  });

  it("refuses what it can't or must not sign", async () => {
    await using card = await open({ token: "work" });
    const [publicKey] = await card.publicKeys();
    if (publicKey === undefined) throw new Error("no key");
    const nobody = new Uint8Array();
    const request = {
      ...{ publicKey, algorithm: publicKey.type, data: Buffer.from("data") },
      proof: { hostKey: nobody, signature: nobody },
    };
    await expect(card.sign({ ...request, algorithm: "ssh-rsa" })).rejects.toMatchObject({
      code: "card.failed",
    });
    await expect(card.sign({ ...request, data: Buffer.alloc(20_000) })).rejects.toMatchObject({
      code: "card.failed",
    });
    const other = { ...publicKey, blob: Buffer.from("other") };
    await expect(card.sign({ ...request, publicKey: other })).rejects.toMatchObject({ code: "card.no-key" });
    await expect(card.sign(request)).resolves.toBeInstanceOf(Uint8Array);
  });

  it("leaving the scope closes the card, and closing it again is fine", async () => {
    const card = await open({ token: "work" });
    const closing = card.close();
    await Promise.all([closing, card[Symbol.asyncDispose](), card.close()]);
    expect(card.signerPid).toBeUndefined();
    await expect(testSignature(card)).rejects.toMatchObject({ code: "canceled" });
  });

  it("an abort ends the opening, also while a PIN is awaited, and leaves no process", async () => {
    const abort = new AbortController();
    const pinSource = {
      ...scriptedPinSource([]),
      ask: async () => {
        abort.abort(new Error("stopped"));
        return softHsmPin;
      },
    };
    await expect(open({ token: "work", pinSource, signal: abort.signal })).rejects.toThrow("stopped");
    await expect(open({ token: "work", signal: AbortSignal.abort(new Error("before")) })).rejects.toThrow(
      "before",
    );
  });

  it("a path that is no PKCS#11 module is said", async () => {
    await expect(open({ provider: process.execPath })).rejects.toMatchObject({
      code: "card.module-not-found",
      leg: "card",
    });
  });
});

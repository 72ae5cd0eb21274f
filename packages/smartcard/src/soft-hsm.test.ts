import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listKeys, listTokens } from "./list-card.ts";
import { openCard } from "./open-card.ts";
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
    await using card = await openCard({ provider: hsm.provider, env: hsm.env, pinSource });
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
    const { tokens } = await listTokens({ provider: hsm.provider, env: hsm.env });
    expect(tokens).toMatchObject([{ label: "soft", model: "SoftHSM v2", pin: "ok", pinPad: false }]);
    const listed = await listKeys({ provider: hsm.provider, env: hsm.env });
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

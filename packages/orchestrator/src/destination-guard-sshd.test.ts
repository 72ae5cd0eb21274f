import { writeFile } from "node:fs/promises";
import type { SignParams } from "@farside/protocol";
import { Hop, KeyFileIdentity, PinnedHostKeys, type SignRequest } from "@farside/ssh";
import { type KeyKind, type KeyPair, makeKeyPair, type Sshd, startSshd } from "@farside/ssh/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DestinationGuard, type GuardDecision } from "./destination-guard.ts";

const hostKinds = ["ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048"] as const;
const ourKinds = ["ed25519", "ecdsa-256", "rsa-2048"] as const satisfies KeyKind[];

let target: Sshd;
let other: Sshd;
let ours: KeyPair[];
let identity: KeyFileIdentity;
beforeAll(async () => {
  other = await startSshd();
  ours = await Promise.all(ourKinds.map((kind) => makeKeyPair(other.folder.file(`our-${kind}`), kind)));
  identity = await KeyFileIdentity.open({ files: ours.map(({ path }) => path) });
  const authorizedKeys = ours.map(({ line }) => line);
  await writeFile(other.folder.file("authorized_keys"), authorizedKeys.join("\n"));
  target = await startSshd({ hostKeys: hostKinds, authorizedKeys });
});
afterAll(async () => {
  await identity.close();
  await target[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

/** A guard for the target; `user` as declared. */
function guardForTarget(user = target.user) {
  const guard = new DestinationGuard({ onDecision: () => {} });
  guard.declare({
    ...{ hopId: "hop-1", user, host: target.host, port: target.port },
    hostKeys: target.hostKeys.map(({ publicKey }) => publicKey.blob),
    publicKeys: ours.map(({ publicKey }) => publicKey),
  });
  return guard;
}

const paramsOf = ({ data, proof }: SignRequest): SignParams => ({
  ...{ hopId: "hop-1", data, hostKey: proof.hostKey, serverSignature: proof.signature },
});

/** Logs in to a real sshd, with the guard between: what it was asked, what it decided, and whether the login succeeded. */
async function logIn(
  sshd: Sshd,
  guard: DestinationGuard,
  key: KeyPair,
  hostKey = sshd.hostKeys[0],
  user = sshd.user,
) {
  let asked: SignParams | undefined;
  let decision: GuardDecision | undefined;
  const attempt = Hop.connect({
    ...{ user, host: sshd.host, port: sshd.port, leg: "hop" },
    hostKeys: new PinnedHostKeys([hostKey?.publicKey.blob ?? new Uint8Array()]),
    identity: {
      ...{ kind: "delegated", publicKeys: async () => [key.publicKey], close: async () => {} },
      async [Symbol.asyncDispose]() {},
      ready: async () => {},
      async sign(request) {
        asked = paramsOf(request);
        decision = guard.decide(asked);
        if (decision.decision === "refused") throw new Error(decision.reason);
        return identity.sign({ ...request, data: decision.data });
      },
    },
  });
  const isIn = await attempt.then(
    async (hop) => {
      await hop.close();
      return true;
    },
    () => false,
  );
  if (asked === undefined || decision === undefined) throw new Error("nothing was asked");
  return { asked, isIn, reason: decision.reason };
}

const first = () => ours[0] as KeyPair;

describe("the destination guard between us and a real sshd", () => {
  it.each(hostKinds.map((kind, index) => [kind, index] as const))(
    "accepts a login to a host that proves itself with %s",
    async (_, index) => {
      const { isIn, reason } = await logIn(target, guardForTarget(), first(), target.hostKeys[index]);
      expect([isIn, reason]).toEqual([true, "declared-destination"]);
    },
  );

  it.each(ourKinds.map((kind, index) => [kind, index] as const))(
    "accepts a login with our %s key",
    async (_, index) => {
      const { isIn, reason } = await logIn(target, guardForTarget(), ours[index] as KeyPair);
      expect([isIn, reason]).toEqual([true, "declared-destination"]);
    },
  );

  it("refuses a login elsewhere, as another user, and the same once more", async () => {
    expect(await logIn(other, guardForTarget(), first())).toMatchObject({ isIn: false, reason: "host-key" });
    const asRoot = guardForTarget("somebody-else");
    expect(await logIn(target, asRoot, first())).toMatchObject({ isIn: false, reason: "user" });
    const guard = guardForTarget();
    const { asked } = await logIn(target, guard, first());
    expect(guard.decide(asked).reason).toBe("replay");
  });

  it("refuses every mixture of two real logins", async () => {
    const good = (await logIn(target, guardForTarget(), first())).asked;
    const elsewhere = (await logIn(other, guardForTarget(), first())).asked;
    const mixtures: [Partial<SignParams>, string][] = [
      [{ data: elsewhere.data }, "server-signature"],
      [{ hostKey: elsewhere.hostKey }, "host-key"],
      [{ serverSignature: elsewhere.serverSignature }, "server-signature"],
      [{ data: elsewhere.data, serverSignature: elsewhere.serverSignature }, "server-signature"],
      [{ data: elsewhere.data, hostKey: elsewhere.hostKey }, "host-key"],
    ];
    for (const [mixture, reason] of mixtures) {
      expect(guardForTarget().decide({ ...good, ...mixture }).reason).toBe(reason);
    }
    expect(guardForTarget().decide(good).decision).toBe("signed");
  });
});

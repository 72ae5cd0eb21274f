import type { Identity, PublicKey, SignRequest } from "@farside/ssh";
import { expect, test } from "vitest";
import { JoinedIdentity } from "./joined-identity.ts";

const key = (text: string): PublicKey => ({ type: "ssh-ed25519", blob: Buffer.from(text), comment: text });

function fake(name: string, keys: readonly string[]) {
  const state = { isClosed: false };
  const close = async () => {
    state.isClosed = true;
  };
  const identity: Identity = {
    kind: "file",
    publicKeys: async () => keys.map(key),
    sign: async () => Buffer.from(name),
    close,
    [Symbol.asyncDispose]: close,
  };
  return { identity, state };
}

const request = (text: string): SignRequest => ({
  publicKey: key(text),
  algorithm: "ssh-ed25519",
  data: Buffer.alloc(0),
  proof: { hostKey: Buffer.alloc(0), signature: Buffer.alloc(0) },
});

test("keys are offered once each, and the first that has one signs for it", async () => {
  const [a, b] = [fake("a", ["1", "2"]), fake("b", ["2", "3"])];
  await using joined = new JoinedIdentity("agent", [a.identity, b.identity]);
  expect((await joined.publicKeys()).map(({ comment }) => comment)).toEqual(["1", "2", "3"]);
  expect(String(await joined.sign(request("2")))).toBe("a");
  expect(String(await joined.sign(request("3")))).toBe("b");
  await expect(joined.sign(request("4"))).rejects.toThrow(/nothing has the wanted key/);
});

test("leaving the scope closes all of them, and closing again is no error", async () => {
  const [a, b] = [fake("a", []), fake("b", [])];
  {
    await using joined = new JoinedIdentity("agent", [a.identity, b.identity]);
    await joined.close();
  }
  expect([a.state.isClosed, b.state.isClosed]).toEqual([true, true]);
});

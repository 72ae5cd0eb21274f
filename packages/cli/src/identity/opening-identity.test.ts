import type { Identity } from "@farside/ssh";
import { expect, test } from "vitest";
import { openingIdentity } from "./opening-identity.ts";

function fake(): { identity: Identity; closed: () => number } {
  let closed = 0;
  const close = async () => {
    closed += 1;
  };
  const key = { type: "ssh-ed25519", blob: Buffer.from("k"), comment: "" };
  return {
    identity: {
      kind: "card",
      publicKeys: async () => [key],
      ready: async () => {},
      sign: async () => Buffer.from("s"),
      close,
      [Symbol.asyncDispose]: close,
    },
    closed: () => closed,
  };
}

test("keys are waited for, and closing closes what was opened", async () => {
  const { identity, closed } = fake();
  let finish: (identity: Identity) => void = () => undefined;
  {
    await using opening = openingIdentity("card", () => new Promise((resolve) => (finish = resolve)));
    const keys = opening.publicKeys();
    finish(identity);
    expect(await keys).toHaveLength(1);
  }
  expect(closed()).toBe(1);
});

test("a failure is told to whoever asks", async () => {
  const opening = openingIdentity("card", () => Promise.reject(new Error("no reader")));
  await expect(opening.publicKeys()).rejects.toThrow("no reader");
  await opening.close();
});

test("closing calls off an opening that nobody waits for", async () => {
  let reason: unknown;
  const opening = openingIdentity(
    "card",
    (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          reason = signal.reason;
          reject(signal.reason);
        });
      }),
  );
  await opening.close();
  expect(reason).toBeInstanceOf(Error);
});

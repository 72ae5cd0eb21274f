import { fingerprint } from "@farside/ssh";
import { type Sshd, startSshd } from "@farside/ssh/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectKeptHop, type KeptHop } from "./connect-kept-hop.ts";
import type { LentIdentities } from "./lent-identities.ts";

let sshd: Sshd;
beforeAll(async () => {
  sshd = await startSshd({ hostKeys: ["ed25519", "ecdsa-256", "rsa-2048"] });
});
afterAll(() => sshd[Symbol.asyncDispose]());

test("a hop known by the fingerprint of its last key is looked for once, and asked for that key from then on", async () => {
  const { user, host, port } = sshd;
  const pin = fingerprint(sshd.hostKeys[2]?.publicKey.blob ?? Buffer.alloc(0));
  const kept: KeptHop = {
    ...{ hopId: "h", user, host, port, hostKeys: [], fingerprints: [pin] },
    identity: { kind: "key-file", path: sshd.userKey.path },
  };
  const declaration = { hopId: "h", user, host, port, hostKeys: [], publicKeys: [] };
  const connect = connectKeptHop({
    hop: () => kept,
    lent: {} as LentIdentities,
    home: sshd.folder.path,
    onWaiting: () => {},
  });
  const dial = async (expected: string) => {
    const brokenOff: string[] = [];
    await using hop = await connect(declaration, undefined, {
      signal: AbortSignal.timeout(20_000),
      onSigning: () => {},
      admit: async () => {},
      onBrokenOff: ({ code }) => brokenOff.push(code),
    });
    expect(fingerprint(hop.serverHostKey)).toBe(expected);
    return brokenOff;
  };
  expect(await dial(pin)).toEqual(["host-key.changed", "host-key.changed"]);
  expect(await dial(pin)).toEqual([]);
  // What was pinned anew counts, not what was seen.
  const first = fingerprint(sshd.hostKeys[0]?.publicKey.blob ?? Buffer.alloc(0));
  kept.fingerprints.splice(0, 1, first);
  expect(await dial(first)).toEqual([]);
});

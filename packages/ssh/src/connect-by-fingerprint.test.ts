import { afterAll, beforeAll, expect, test } from "vitest";
import { connectByFingerprint } from "./connect-by-fingerprint.ts";
import { fingerprint } from "./fingerprint.ts";
import type { HopOptions } from "./hop-options.ts";
import { PinnedHostKeys } from "./pinned-host-keys.ts";
import { failureOf } from "./testing/failure-of.ts";
import { hopOptionsFor } from "./testing/hop-options-for.ts";
import { type Sshd, startSshd } from "./testing/sshd.ts";

let sshd: Sshd;
/** Of its Ed25519, ECDSA and RSA keys. */
let prints: readonly string[];
beforeAll(async () => {
  sshd = await startSshd({ hostKeys: ["ed25519", "ecdsa-256", "rsa-2048"] });
  prints = sshd.hostKeys.map(({ publicKey }) => fingerprint(publicKey.blob));
});
afterAll(() => sshd[Symbol.asyncDispose]());

const connect = async (pins: readonly string[], more: Partial<HopOptions> = {}) =>
  connectByFingerprint(
    await hopOptionsFor(sshd, { hostKeys: PinnedHostKeys.fromFingerprints(pins), ...more }),
    pins,
  );

test.each([0, 1, 2])("a host is known by the fingerprint of its key %i of three", async (index) => {
  const pin = prints[index] ?? "";
  const brokenOff: unknown[] = [];
  const options = await hopOptionsFor(sshd, { hostKeys: PinnedHostKeys.fromFingerprints([pin]) });
  await using hop = await connectByFingerprint(options, [pin], ({ code }) => brokenOff.push(code));
  expect(fingerprint(hop.serverHostKey)).toBe(pin);
  // Each is one that the host has seen somebody leave.
  expect(brokenOff).toEqual(Array(index).fill("host-key.changed"));
});

test("a host that has none of the keys is refused with all of its own, but those that ssh_config leaves out", async () => {
  const stranger = `SHA256:${"A".repeat(43)}`;
  const refused = await failureOf(connect([stranger]));
  expect(refused).toMatchObject({ code: "host-key.changed", leg: "jump" });
  for (const print of prints) expect(refused.message).toContain(print);
  expect(String(refused.data?.["hostKeys"]).split(",")).toHaveLength(3);
  const limited = await failureOf(connect([prints[2] ?? ""], { algorithms: { hostKeys: ["ssh-ed25519"] } }));
  expect(limited.message).toContain(`is ${prints[0]}, not one`);
});

test("a key that is looked for and not accepted is the one that is reported", async () => {
  const [ed25519 = "", , rsa = ""] = prints;
  const options = await hopOptionsFor(sshd, { hostKeys: new PinnedHostKeys([]) });
  const reported = await failureOf(connectByFingerprint(options, [rsa]));
  expect(reported.data).toMatchObject({ fingerprint: rsa });
  expect(await failureOf(connectByFingerprint(options))).toMatchObject({ data: { fingerprint: ed25519 } });
});

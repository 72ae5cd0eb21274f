import { mkdir } from "node:fs/promises";
import { CodedError } from "@farside/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { descendantsOf } from "./data-path/testing/process-tree.ts";
import { fingerprint } from "./fingerprint.ts";
import { Hop } from "./hop.ts";
import type { HopOptions } from "./hop-options.ts";
import { KeyFileIdentity } from "./key-file-identity.ts";
import { PinnedHostKeys } from "./pinned-host-keys.ts";
import { failureOf } from "./testing/failure-of.ts";
import { hopOptionsFor } from "./testing/hop-options-for.ts";
import { type KeyPair, makeKeyPair } from "./testing/key-pair.ts";
import { program } from "./testing/program.ts";
import { rejectedBy, silentIdentity } from "./testing/silent-identity.ts";
import { type Sshd, startSshd } from "./testing/sshd.ts";

let sshd: Sshd;
let otherKey: KeyPair;

beforeAll(async () => {
  sshd = await startSshd();
  otherKey = await makeKeyPair(sshd.folder.file("other"));
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
});

afterEach(() => void vi.useRealTimers());

const attempt = async (overrides: Partial<HopOptions>, at: Sshd = sshd) =>
  failureOf(Hop.connect(await hopOptionsFor(at, overrides)));

describe("a host key that is not accepted", () => {
  test("ends the connection with the verifier's error, before the identity is asked for anything", async () => {
    const identity = silentIdentity();
    const hostKeys = new PinnedHostKeys([otherKey.publicKey.blob]);
    const error = await attempt({ hostKeys, identity, leg: "hop" });
    expect(error).toMatchObject({ code: "host-key.changed", leg: "hop" });
    expect(error.message).toContain(fingerprint(sshd.hostKeys[0]?.publicKey.blob ?? new Uint8Array()));
    expect(identity.calls).toEqual([]);
  });

  test("waits for an operator longer than for the host", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { hostKeys } = await hopOptionsFor(sshd);
    const slow: HopOptions["hostKeys"] = {
      keyTypes: () => [],
      verify: async (...args) => {
        await vi.advanceTimersByTimeAsync(600);
        await hostKeys.verify(...args);
      },
    };
    await using hop = await Hop.connect(
      await hopOptionsFor(sshd, { hostKeys: slow, handshakeTimeoutMs: 500 }),
    );
    expect(hop.serverHostKey.length).toBeGreaterThan(0);
  });
});

describe("a login that is refused", () => {
  test("lists the keys that were offered and the methods that are left", async () => {
    const identity = await KeyFileIdentity.open({ files: [otherKey.path] });
    const error = await attempt({ identity });
    expect(error).toMatchObject({ code: "hop.auth-refused", leg: "jump" });
    expect(error.message).toContain(fingerprint(otherKey.publicKey.blob));
    expect(error.message).toContain("the host accepts: publickey");
  });

  test("as for a wrong user", async () => {
    const error = await attempt({ user: "nosuchuser" });
    expect(error).toMatchObject({ code: "hop.auth-refused" });
    expect(error.message).toContain("logging in to nosuchuser@");
  });

  test("by a host that hangs up after too many keys is hop.auth-refused too", async () => {
    await using strict = await startSshd({ config: ["MaxAuthTries 2"] });
    const files = await Promise.all([1, 2, 3].map((n) => makeKeyPair(strict.folder.file(`spare-${n}`))));
    const identity = await KeyFileIdentity.open({ files: files.map(({ path }) => path) });
    const error = await attempt({ identity }, strict);
    expect(error).toMatchObject({ code: "hop.auth-refused" });
    expect(error.message).toContain("Too many authentication failures");
  });

  test("without any key is identity.none", async () => {
    const identity = await KeyFileIdentity.open({ files: [] });
    expect(await attempt({ identity })).toMatchObject({ code: "identity.none" });
  });

  test("tries a second key after the first was refused", async () => {
    const identity = await KeyFileIdentity.open({ files: [otherKey.path, sshd.userKey.path] });
    await using hop = await Hop.connect(await hopOptionsFor(sshd, { identity, requireSignature: true }));
    expect(hop.name).toContain("127.0.0.1");
  });

  test("because the identity would not sign keeps the identity's error and offers no other key", async () => {
    const wrongPin = new CodedError("card.pin-wrong", "the PIN is wrong", { leg: "card" });
    const identity = silentIdentity([sshd.userKey, otherKey], () => Promise.reject(wrongPin));
    const before = await sshd.log();
    expect(await attempt({ identity })).toBe(wrongPin);
    expect(identity.calls).toEqual(["publicKeys", "sign"]);
    const log = (await sshd.log()).slice(before.length);
    expect(log).not.toContain(fingerprint(otherKey.publicKey.blob));
  });

  test("gives up an identity that never signs, at its own deadline", async () => {
    const identity = silentIdentity([sshd.userKey], ({ signal }) => rejectedBy(signal));
    const error = await attempt({ identity, authenticationTimeoutMs: 80 });
    expect(error).toMatchObject({ code: "timeout" });
    expect(error.message).toContain("nothing came from the identity within 0.08 s");
  });

  test("tells the identity to stop when the host hangs up while it signs", async () => {
    await using impatient = await startSshd();
    let reason: unknown;
    const identity = silentIdentity([impatient.userKey], async ({ signal }) => {
      const stopped = rejectedBy(signal).catch((error) => {
        reason = error;
        throw error;
      });
      // It may be stopped before this knows that the other one is gone.
      stopped.catch(() => {});
      // As at the end of LoginGraceTime.
      const sessions = await descendantsOf(impatient.pid);
      // One ends with the other.
      await program("kill", ["-9", ...sessions.map(String)]).catch(() => {});
      await stopped;
      return new Uint8Array();
    });
    const error = await attempt({ identity }, impatient);
    expect(error).toMatchObject({ code: "hop.lost" });
    expect(reason).toBe(error);
  });
});

describe("channels that are refused", () => {
  test("AllowTcpForwarding no is target.forbidden", async () => {
    await using strict = await startSshd({
      config: ["AllowTcpForwarding no"],
    });
    await using hop = await Hop.connect(await hopOptionsFor(strict));
    expect(await failureOf(hop.dial("127.0.0.1", 1))).toMatchObject({
      code: "target.forbidden",
      leg: "target",
    });
  });

  test("MaxSessions 0 is hop.channel-refused for a command", async () => {
    await using strict = await startSshd({ config: ["MaxSessions 0"] });
    await using hop = await Hop.connect(await hopOptionsFor(strict));
    const error = await failureOf(hop.exec("true"));
    expect(error).toMatchObject({ code: "hop.channel-refused", leg: "jump" });
  });
});

test("an RSA key logs in where only rsa-sha2-512, or only rsa-sha2-256, is taken", async () => {
  for (const algorithm of ["rsa-sha2-512", "rsa-sha2-256"]) {
    await mkdir(sshd.folder.file(algorithm));
    const key = await makeKeyPair(sshd.folder.file(`${algorithm}/key`), "rsa-2048");
    await using strict = await startSshd({
      authorizedKeys: [key.line],
      config: [`PubkeyAcceptedAlgorithms ${algorithm}`],
    });
    const identity = await KeyFileIdentity.open({ files: [key.path] });
    await using hop = await Hop.connect(await hopOptionsFor(strict, { identity, requireSignature: true }));
    expect(await strict.log()).toContain(`Accepted publickey for ${sshd.user}`);
    await hop.close();
  }
});

test("an RSA key is never offered with SHA-1", async () => {
  const key = await makeKeyPair(sshd.folder.file("sha1-key"), "rsa-2048");
  await using old = await startSshd({
    authorizedKeys: [key.line],
    config: ["PubkeyAcceptedAlgorithms ssh-rsa"],
  });
  const identity = await KeyFileIdentity.open({ files: [key.path] });
  expect(await attempt({ identity }, old)).toMatchObject({ code: "hop.auth-refused" });
  expect(await old.log()).not.toContain("sha1");
});

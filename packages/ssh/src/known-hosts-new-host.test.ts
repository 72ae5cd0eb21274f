import { readFile, stat, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fingerprint } from "./fingerprint.ts";
import { Hop } from "./hop.ts";
import type { HostKeyPlace } from "./host-key.ts";
import { type HostKeyQuestion, KnownHosts } from "./known-hosts.ts";
import { failureOf } from "./testing/failure-of.ts";
import { hopOptionsFor } from "./testing/hop-options-for.ts";
import { type KeyPair, makeKeyPair } from "./testing/key-pair.ts";
import { KnownHostsFixture, keyOf } from "./testing/known-hosts-fixture.ts";
import { program } from "./testing/program.ts";
import { startSshd } from "./testing/sshd.ts";
import { type TemporaryFolder, temporaryFolder } from "./testing/temporary-folder.ts";

let folder: TemporaryFolder;
let key: KeyPair;
let other: KeyPair;
let file: string;
let known: KnownHostsFixture["known"];

beforeAll(async () => {
  folder = await temporaryFolder();
  [key, other] = await Promise.all([makeKeyPair(folder.file("a")), makeKeyPair(folder.file("b"))]);
});
afterAll(async () => {
  await folder[Symbol.asyncDispose]();
});
beforeEach(() => {
  const fixture = new KnownHostsFixture(folder);
  file = fixture.file;
  known = (lines, options) => fixture.known(lines, options);
});

const place: HostKeyPlace = { host: "jump", port: 22 };

describe("a new host", () => {
  test("is added to the first file, which is made private, and is known from then on", async () => {
    const path = folder.file("new/known_hosts");
    const hostKeys = await KnownHosts.load({ files: [path, file], check: "accept-new" });
    const at = { host: "jump", port: 2222 };
    await hostKeys.verify(key.publicKey.blob, at);
    await hostKeys.verify(key.publicKey.blob, at);
    expect(await readFile(path, "utf8")).toBe(`[jump]:2222 ${keyOf(key)}\n`);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(folder.file("new"))).mode & 0o777).toBe(0o700);
    expect(await failureOf(hostKeys.verify(other.publicKey.blob, at))).toMatchObject({
      code: "host-key.changed",
    });
  });

  test("is added behind a last line without an end, and keeps the file's mode", async () => {
    await writeFile(file, `first ${keyOf(other)}`, { mode: 0o644 });
    const hostKeys = await KnownHosts.load({ files: [file], check: "accept-new" });
    await hostKeys.verify(key.publicKey.blob, place);
    expect(await readFile(file, "utf8")).toBe(`first ${keyOf(other)}\njump ${keyOf(key)}\n`);
    expect((await stat(file)).mode & 0o777).toBe(0o644);
  });

  test("is added hashed where that is wanted, so that ssh-keygen finds it", async () => {
    const hostKeys = await known([], { check: "accept-new", hash: true });
    await hostKeys.verify(key.publicKey.blob, place);
    expect(await readFile(file, "utf8")).toMatch(/^\|1\|/u);
    expect(await isFoundByName("jump", file)).toBe(true);
  });

  test("is asked about with its fingerprint, once", async () => {
    const questions: HostKeyQuestion[] = [];
    const ask = async (question: HostKeyQuestion) => {
      questions.push(question);
      return true;
    };
    const hostKeys = await known([], { check: "ask", ask });
    await hostKeys.verify(key.publicKey.blob, place);
    await hostKeys.verify(key.publicKey.blob, place);
    expect(questions).toEqual([{ place, type: "ssh-ed25519", fingerprint: fingerprint(key.publicKey.blob) }]);
    expect(await isFoundByName("jump", file)).toBe(true);
  });

  test("is neither accepted nor written by a yes that came after everything was over", async () => {
    const over = new AbortController();
    const ask = async () => {
      over.abort(new Error("over"));
      return true;
    };
    const hostKeys = await known([], { check: "ask", ask });
    const verified = hostKeys.verify(key.publicKey.blob, place, { signal: over.signal });
    await expect(verified).rejects.toThrow("over");
    expect([await readFile(file, "utf8"), hostKeys.knownKeys(place)]).toEqual(["", []]);
  });

  test.each(["a,b", "a b", "*", "!a", "|1|a", "a\nb"])(
    "named %j is accepted, but never written",
    async (host) => {
      const warnings: string[] = [];
      const hostKeys = await known([], { check: "accept-new", onWarning: (text) => warnings.push(text) });
      await hostKeys.verify(key.publicKey.blob, { host, port: 22 });
      expect(await readFile(file, "utf8")).toBe("");
      expect(warnings).toHaveLength(1);
    },
  );

  test("is accepted with a warning where the file can't be written", async () => {
    const warnings: string[] = [];
    const path = `${key.path}/known_hosts`;
    const hostKeys = await KnownHosts.load({
      files: [path],
      check: "accept-new",
      onWarning: (text) => warnings.push(text),
    });
    await hostKeys.verify(key.publicKey.blob, place);
    expect(warnings.join()).toContain(path);
  });
});

describe("with a real sshd", () => {
  test("a host with several keys shows the one that is known", async () => {
    await using sshd = await startSshd({ hostKeys: ["ed25519", "ecdsa-256", "rsa-2048"] });
    for (const pair of sshd.hostKeys) {
      const hostKeys = await known([`[127.0.0.1]:${sshd.port} ${keyOf(pair)}`]);
      await using hop = await Hop.connect(await hopOptionsFor(sshd, { hostKeys }));
      expect(fingerprint(hop.serverHostKey)).toBe(fingerprint(pair.publicKey.blob));
    }
  });

  test("HostKeyAlias is looked up by itself, without the port", async () => {
    await using sshd = await startSshd();
    const hostKeys = await known([`the-alias ${keyOf(sshd.hostKeys[0] as KeyPair)}`]);
    await using hop = await Hop.connect(await hopOptionsFor(sshd, { hostKeys, hostKeyAlias: "The-Alias" }));
    expect(hop.serverHostKey.length).toBeGreaterThan(0);
  });

  test("what accept-new wrote is what ssh would have written", async () => {
    await using sshd = await startSshd();
    const hostKeys = await known([], { check: "accept-new" });
    await using hop = await Hop.connect(await hopOptionsFor(sshd, { hostKeys }));
    const theirs = folder.file("by-ssh");
    await program("ssh", [
      ...[
        "-F",
        "none",
        "-i",
        sshd.userKey.path,
        "-p",
        String(sshd.port),
        "-o",
        `UserKnownHostsFile=${theirs}`,
      ],
      ...["-o", "StrictHostKeyChecking=accept-new", "-o", "HostKeyAlgorithms=ssh-ed25519"],
      ...["-o", "UpdateHostKeys=no", `${sshd.user}@127.0.0.1`, "true"],
    ]);
    expect(await readFile(file, "utf8")).toBe(await readFile(theirs, "utf8"));
    expect(hop.serverHostKey.length).toBeGreaterThan(0);
  });
});

async function isFoundByName(name: string, path: string): Promise<boolean> {
  return program("ssh-keygen", ["-F", name.toLowerCase(), "-f", path]).then(
    (text) => text !== "",
    () => false,
  );
}

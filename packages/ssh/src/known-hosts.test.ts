import { randomBytes } from "node:crypto";
import { chmod, readFile } from "node:fs/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fingerprint } from "./fingerprint.ts";
import type { HostKeyPlace } from "./host-key.ts";
import { KnownHosts } from "./known-hosts.ts";
import { hashedName } from "./known-hosts-file.ts";
import { failureOf } from "./testing/failure-of.ts";
import { type KeyPair, makeKeyPair } from "./testing/key-pair.ts";
import { KnownHostsFixture, keyOf } from "./testing/known-hosts-fixture.ts";
import { program } from "./testing/program.ts";
import { type TemporaryFolder, temporaryFolder } from "./testing/temporary-folder.ts";

let folder: TemporaryFolder;
let key: KeyPair;
let other: KeyPair;
let rsa: KeyPair;
let file: string;
let known: KnownHostsFixture["known"];

beforeAll(async () => {
  folder = await temporaryFolder();
  [key, other, rsa] = await Promise.all([
    makeKeyPair(folder.file("a")),
    makeKeyPair(folder.file("b")),
    makeKeyPair(folder.file("c"), "rsa-2048"),
  ]);
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

describe("a host that is known", () => {
  const salt = randomBytes(20);
  const hosts: readonly (readonly [string, HostKeyPlace])[] = [
    ["jump", place],
    ["JUMP", place],
    ["other,jump,third", place],
    ["j?mp", place],
    ["*", place],
    ["*.example.org", { host: "a.example.org", port: 22 }],
    ["[jump]:2222", { host: "jump", port: 2222 }],
    ["[*]:2222", { host: "jump", port: 2222 }],
    ["jump", { host: "jump", port: 2222 }],
    [hashedName("jump", salt), { host: "Jump", port: 22 }],
    [hashedName("[jump]:2222", salt), { host: "jump", port: 2222 }],
    ["2001:db8::1", { host: "2001:db8::1", port: 22 }],
    ["[2001:db8::1]:2222", { host: "2001:db8::1", port: 2222 }],
  ];
  test.each(hosts)("by %s is accepted as %o", async (field, at) => {
    const hostKeys = await known(["# comment", "", "nonsense", `${field} ${keyOf(key)} comment`]);
    await expect(hostKeys.verify(key.publicKey.blob, at)).resolves.toBeUndefined();
    expect(hostKeys.keyTypes(at)).toEqual(["ssh-ed25519"]);
    expect(hostKeys.knownKeys(at).map(fingerprint)).toEqual([fingerprint(key.publicKey.blob)]);
  });

  test.each([
    ["jumper", place],
    ["j?p", place],
    ["*,!jump", place],
    ["!jump,*", place],
    ["!*", place],
    ["jump", { host: "jump.example.org", port: 22 }],
    ["[jump]:2222", place],
    [hashedName("jumper", salt), place],
    ["|1|broken", place],
    ["@unknown-marker jump", place],
  ])("by %s is unknown as %o", async (field, at) => {
    const hostKeys = await known([`${field} ${keyOf(key)}`]);
    expect(await failureOf(hostKeys.verify(key.publicKey.blob, at))).toMatchObject({
      code: "host-key.unknown",
    });
    expect(hostKeys.knownKeys(at)).toEqual([]);
  });

  test("is found wherever ssh-keygen -F finds it, and nowhere else", async () => {
    const names = [
      "jump",
      "Jump",
      "j.example.org",
      "k.example.org",
      "[jump]:2222",
      "[k.example.org]:2222",
      "10.0.0.1",
    ];
    const fields = [
      "jump",
      "*.example.org,!k.example.org",
      "[jump]:2222",
      "j?mp",
      "[*]:2222",
      "10.0.*",
      "*,!jump",
    ];
    let compared = 0;
    for (const field of fields) {
      for (const isHashed of [false, true]) {
        if (isHashed && /[*?!,]/u.test(field)) continue;
        const hostKeys = await known([`${field} ${keyOf(key)}`]);
        if (isHashed) await program("ssh-keygen", ["-q", "-H", "-f", file]);
        const loaded = isHashed ? await KnownHosts.load({ files: [file], check: "strict" }) : hostKeys;
        for (const name of names) {
          const [, host = name, port = "22"] = /^\[(.*)\]:(\d+)$/u.exec(name) ?? [];
          const found = await program("ssh-keygen", ["-F", name.toLowerCase(), "-f", file]).then(
            (text) => text !== "",
            () => false,
          );
          // ssh, unlike ssh-keygen, goes on with the name alone when it finds nothing under the port.
          const foundAlone = port !== "22" && (await isFoundByName(host, file));
          expect(loaded.knownKeys({ host, port: Number(port) }).length > 0, `${field} for ${name}`).toBe(
            found || foundAlone,
          );
          compared += 1;
        }
      }
    }
    expect(compared).toBeGreaterThan(60);
  });

  test("in the global files is accepted too", async () => {
    await known([`jump ${keyOf(key)}`]);
    const hostKeys = await KnownHosts.load({
      files: [folder.file("none")],
      globalFiles: [file],
      check: "strict",
    });
    await expect(hostKeys.verify(key.publicKey.blob, place)).resolves.toBeUndefined();
  });

  test("by several keys is accepted by each, and the types are in the order of the files", async () => {
    const hostKeys = await known([`jump ${keyOf(rsa)}`, `jump ${keyOf(key)}`, `jump ${keyOf(other)}`]);
    expect(hostKeys.keyTypes(place)).toEqual(["ssh-rsa", "ssh-ed25519"]);
    for (const { publicKey } of [key, other, rsa])
      await expect(hostKeys.verify(publicKey.blob, place)).resolves.toBeUndefined();
  });

  test("under another name can be found by its key", async () => {
    const hostKeys = await known([`other-name ${keyOf(key)}`, `@revoked * ${keyOf(other)}`]);
    expect(hostKeys.namesOf(key.publicKey.blob)).toEqual(["other-name"]);
    expect(hostKeys.namesOf(other.publicKey.blob)).toEqual([]);
  });
});

describe("a key that is not accepted", () => {
  test.each(["strict", "ask", "accept-new"] as const)(
    "because it changed, is refused with check %s",
    async (check) => {
      const hostKeys = await known(["# first line", `jump ${keyOf(key)}`], { check, ask: async () => true });
      const error = await failureOf(hostKeys.verify(other.publicKey.blob, place));
      expect(error).toMatchObject({ code: "host-key.changed" });
      expect(error.message).toContain(fingerprint(other.publicKey.blob));
      expect(error.message).toContain(`${file}:2`);
      expect(error.hint).toContain(`ssh-keygen -R 'jump' -f ${file}`);
      expect(await readFile(file, "utf8")).not.toContain(keyOf(other));
    },
  );

  test("because only another type is known, is a changed key", async () => {
    const hostKeys = await known([`jump ${keyOf(rsa)}`], { check: "accept-new" });
    expect(await failureOf(hostKeys.verify(key.publicKey.blob, place))).toMatchObject({
      code: "host-key.changed",
    });
  });

  test.each(["strict", "ask", "accept-new"] as const)(
    "because it is revoked, is refused with check %s",
    async (check) => {
      const lines = [`jump ${keyOf(key)}`, `@revoked * ${keyOf(key)}`];
      const hostKeys = await known(lines, { check, ask: async () => true });
      const error = await failureOf(hostKeys.verify(key.publicKey.blob, place));
      expect(error).toMatchObject({ code: "host-key.revoked" });
      expect(error.message).toContain(`${file}:2`);
      expect(error.message).toContain(fingerprint(key.publicKey.blob));
      expect(hostKeys.knownKeys(place)).toEqual([]);
    },
  );

  test("because it is revoked for the host's name alone, is refused on another port too", async () => {
    const hostKeys = await known([`[jump]:2222 ${keyOf(key)}`, `@revoked jump ${keyOf(key)}`]);
    const at = { host: "jump", port: 2222 };
    expect(await failureOf(hostKeys.verify(key.publicKey.blob, at))).toMatchObject({
      code: "host-key.revoked",
    });
    expect(hostKeys.knownKeys(at)).toEqual([]);
  });

  test("because it is unknown, shows its fingerprint", async () => {
    const hostKeys = await known([]);
    const error = await failureOf(hostKeys.verify(key.publicKey.blob, place));
    expect(error).toMatchObject({
      code: "host-key.unknown",
      data: { fingerprint: fingerprint(key.publicKey.blob) },
    });
    expect(error.message).toContain(fingerprint(key.publicKey.blob));
  });

  test("because nobody can be asked, is unknown", async () => {
    const hostKeys = await known([], { check: "ask" });
    expect(await failureOf(hostKeys.verify(key.publicKey.blob, place))).toMatchObject({
      code: "host-key.unknown",
    });
  });

  test("because the operator said no, is declined and not written down", async () => {
    const hostKeys = await known([], { check: "ask", ask: async () => false });
    expect(await failureOf(hostKeys.verify(key.publicKey.blob, place))).toMatchObject({
      code: "host-key.declined",
    });
    expect(await readFile(file, "utf8")).toBe("");
  });
});

test("a @cert-authority for the host is pointed out, and accepts nothing", async () => {
  const warnings: string[] = [];
  const lines = [`@cert-authority *.example.org ${keyOf(key)}`];
  const hostKeys = await known(lines, { onWarning: (text) => warnings.push(text) });
  const at = { host: "a.example.org", port: 22 };
  expect(await failureOf(hostKeys.verify(key.publicKey.blob, at))).toMatchObject({
    code: "host-key.unknown",
  });
  expect(warnings.join()).toContain(`${file}:1 has a @cert-authority for a.example.org`);
  expect(hostKeys.keyTypes(at)).toEqual([]);
});

test("a file that can't be read is a warning", async () => {
  const warnings: string[] = [];
  await chmod(folder.path, 0o700);
  const hostKeys = await KnownHosts.load({
    files: [folder.path],
    check: "strict",
    onWarning: (text) => warnings.push(text),
  });
  expect(warnings.join()).toContain(folder.path);
  expect(hostKeys.knownKeys(place)).toEqual([]);
});

async function isFoundByName(name: string, path: string): Promise<boolean> {
  return program("ssh-keygen", ["-F", name.toLowerCase(), "-f", path]).then(
    (text) => text !== "",
    () => false,
  );
}

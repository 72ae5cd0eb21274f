import { readFile, writeFile } from "node:fs/promises";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hostCertificateFault, hostKeyIn, isCertificate } from "./host-certificate.ts";
import { KnownHosts } from "./known-hosts.ts";
import { type KeyKind, type KeyPair, makeKeyPair } from "./testing/key-pair.ts";
import { program } from "./testing/program.ts";
import { type TemporaryFolder, temporaryFolder } from "./testing/temporary-folder.ts";

let folder: TemporaryFolder;
let authority: KeyPair;
let stranger: KeyPair;
let host: KeyPair;
beforeAll(async () => {
  folder = await temporaryFolder();
  [authority, stranger, host] = await Promise.all([
    makeKeyPair(folder.file("ca")),
    makeKeyPair(folder.file("stranger")),
    makeKeyPair(folder.file("host")),
  ]);
});
afterAll(() => folder[Symbol.asyncDispose]());

/** A certificate of ssh-keygen: for hosts, named `sign`, unless `args` say otherwise. */
async function certify(args: readonly string[] = [], { by = authority, of = host } = {}): Promise<Buffer> {
  const usual = ["-h", "-n", "sign"].filter(() => args.length === 0);
  await program("ssh-keygen", ["-q", "-s", by.path, "-I", "id", ...usual, ...args, `${of.path}.pub`]);
  const [, base64 = ""] = (await readFile(`${of.path}-cert.pub`, "utf8")).split(" ");
  return Buffer.from(base64, "base64");
}
const trusted = (more = {}) => ({
  ...{ name: "sign", keys: [authority.publicKey.blob], revoked: [] },
  ...more,
});

describe("a host certificate", () => {
  test.each<KeyKind>(["ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048"])(
    "about and by %s keys is good, and its host's key is in it",
    async (kind) => {
      const of = await makeKeyPair(folder.file(`of-${kind}`), kind);
      const by = await makeKeyPair(folder.file(`by-${kind}`), kind);
      const blob = await certify([], { by, of });
      expect(isCertificate(blob)).toBe(true);
      expect(hostKeyIn(blob)).toEqual(of.publicKey.blob);
      expect(hostCertificateFault(blob, trusted({ keys: [by.publicKey.blob] }))).toBeUndefined();
    },
  );

  test("is for the names that it has, patterns too, and for every host where it has none", async () => {
    const names: readonly (readonly [principals: string, name: string, isGood: boolean])[] = [
      ["sign", "sign", true],
      ["other,sign", "sign", true],
      ["*.example.org", "sign.example.org", true],
      ["sign", "sign.example.org", false],
      ["signer", "sign", false],
      ["other", "sign", false],
    ];
    for (const [principals, name, isGood] of names) {
      const fault = hostCertificateFault(await certify(["-h", "-n", principals]), trusted({ name }));
      expect(fault, `${principals} for ${name}`).toBe(isGood ? undefined : "certificate-principal");
    }
    expect(hostCertificateFault(await certify(["-h"]), trusted())).toBeUndefined();
  });

  test("is refused from another authority, for users, and with an option that is critical", async () => {
    expect(hostCertificateFault(await certify([], { by: stranger }), trusted())).toBe(
      "certificate-authority",
    );
    expect(hostCertificateFault(await certify(["-n", "sign"]), trusted())).toBe("certificate-kind");
    const critical = await certify(["-h", "-n", "sign", "-O", "critical:x@example.org=1"]);
    expect(hostCertificateFault(critical, trusted())).toBe("certificate-options");
  });

  test("counts within its time only", async () => {
    const at = (time: string) => Date.parse(`${time}Z`);
    const blob = await certify(["-h", "-n", "sign", "-V", "20260101000000Z:20260201000000Z"]);
    expect(hostCertificateFault(blob, trusted(), at("2025-12-31T23:59:59.999"))).toBe("certificate-time");
    expect(hostCertificateFault(blob, trusted(), at("2026-01-01T00:00:00"))).toBeUndefined();
    expect(hostCertificateFault(blob, trusted(), at("2026-01-31T23:59:59.999"))).toBeUndefined();
    expect(hostCertificateFault(blob, trusted(), at("2026-02-01T00:00:00"))).toBe("certificate-time");
    expect(hostCertificateFault(await certify(["-h", "-n", "sign", "-V", "-2d:-1d"]), trusted())).toBe(
      "certificate-time",
    );
  });

  test("is refused where its key or its authority is revoked", async () => {
    const blob = await certify();
    for (const { publicKey } of [host, authority])
      expect(hostCertificateFault(blob, trusted({ revoked: [publicKey.blob] }))).toBe("certificate-revoked");
    expect(hostCertificateFault(blob, trusted({ revoked: [stranger.publicKey.blob] }))).toBeUndefined();
  });

  test("signed with SHA-1 is refused", async () => {
    const by = await makeKeyPair(folder.file("sha1"), "rsa-2048");
    const blob = await certify(["-t", "ssh-rsa", "-h", "-n", "sign"], { by });
    expect(hostCertificateFault(blob, trusted({ keys: [by.publicKey.blob] }))).toBe("certificate-signature");
  });

  test("is not good any more with whatever bit changed or byte missing", async () => {
    const blob = await certify();
    fc.assert(
      fc.property(fc.nat(blob.length - 1), fc.nat(7), (at, bit) => {
        const changed = Buffer.from(blob);
        changed[at] = (changed[at] ?? 0) ^ (1 << bit);
        expect(hostCertificateFault(changed, trusted())).toBeDefined();
      }),
      { numRuns: 500 },
    );
    for (let length = 0; length < blob.length; length += 1)
      expect(hostCertificateFault(blob.subarray(0, length), trusted())).toBe("certificate-format");
    expect(hostCertificateFault(Buffer.concat([blob, Buffer.of(0)]), trusted())).toBe("certificate-format");
  });

  test("is told from a plain key, which is its own", () => {
    expect(isCertificate(host.publicKey.blob)).toBe(false);
    expect(hostKeyIn(host.publicKey.blob)).toEqual(host.publicKey.blob);
    expect(hostCertificateFault(host.publicKey.blob, trusted())).toBe("certificate-format");
    expect(isCertificate(Buffer.of(1))).toBe(false);
  });
});

test("known_hosts says who may certify a host, and what is revoked for it", async () => {
  const [ca, other, own] = [authority, stranger, host].map(({ line }) =>
    line.split(" ").slice(0, 2).join(" "),
  );
  const file = folder.file("known_hosts");
  await writeFile(
    file,
    [
      `@cert-authority *.example.org,!build.example.org ${ca}`,
      `@cert-authority * ${other}`,
      `@revoked * ${other}`,
      `@revoked other.example.org ${own}`,
      "",
    ].join("\n"),
  );
  const known = await KnownHosts.load({ files: [file], check: "strict" });
  const at = (name: string, port = 22) => {
    const { keys, revoked } = known.authorities({ host: name, port });
    const nameOf = (blob: Uint8Array) =>
      Object.entries({ authority, stranger, host }).find(([, { publicKey }]) =>
        publicKey.blob.every((byte, index) => byte === blob[index]),
      )?.[0];
    return [keys.map(nameOf), revoked.map(nameOf)];
  };
  expect(at("sign.example.org")).toEqual([["authority"], ["stranger"]]);
  expect(at("SIGN.example.org", 2222)).toEqual([["authority"], ["stranger"]]);
  expect(at("build.example.org")).toEqual([[], ["stranger"]]);
  expect(at("other.example.org")).toEqual([["authority"], ["stranger", "host"]]);
});

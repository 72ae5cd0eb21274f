import { describe, expect, test } from "vitest";
import { offeredAlgorithms, signatureAlgorithmsOf } from "./algorithms.ts";

describe("offeredAlgorithms", () => {
  test("asks for known key types first and for the others after them", () => {
    const { serverHostKey } = offeredAlgorithms(["ssh-rsa", "ecdsa-sha2-nistp256"]);
    expect(serverHostKey.slice(0, 3)).toEqual(["rsa-sha2-512", "rsa-sha2-256", "ecdsa-sha2-nistp256"]);
    expect(serverHostKey).toContain("ssh-ed25519");
    expect(new Set(serverHostKey).size).toBe(serverHostKey.length);
  });

  test("offers nothing with SHA-1, MD5, CBC or compression, whatever types are known", () => {
    const offer = offeredAlgorithms(["ssh-dss", "ssh-rsa", "sk-ssh-ed25519@openssh.com"]);
    const names = Object.values(offer).flat();
    expect(names.filter((name) => /sha1|md5|cbc|zlib|arcfour|dss|^ssh-rsa$/iu.test(name))).toEqual([]);
  });

  test("offers no key exchange whose prime the server chooses: testing it would stop everything for a minute", () => {
    expect(offeredAlgorithms([]).kex.filter((name) => /group-exchange/u.test(name))).toEqual([]);
  });

  test("keeps our order within what configuration allows", () => {
    const { cipher } = offeredAlgorithms([], {
      ciphers: ["aes256-ctr", "aes256-gcm@openssh.com", "3des-cbc"],
    });
    expect(cipher).toEqual(["aes256-gcm@openssh.com", "aes256-ctr"]);
  });

  test.each([
    ["KexAlgorithms", { kex: ["sntrup761x25519-sha512"] }],
    ["HostKeyAlgorithms", { hostKeys: ["ssh-rsa"] }],
    ["Ciphers", { ciphers: [] }],
    ["MACs", { macs: ["hmac-sha1"] }],
  ])("names %s when it allows nothing of ours", (option, limits) => {
    expect(() => offeredAlgorithms([], limits)).toThrow(`${option} allows nothing that farside speaks`);
  });
});

test("signatureAlgorithmsOf gives SHA-2 for RSA and nothing for types that are not supported", () => {
  expect(signatureAlgorithmsOf("ssh-rsa")).toEqual(["rsa-sha2-512", "rsa-sha2-256"]);
  expect(signatureAlgorithmsOf("ssh-ed25519")).toEqual(["ssh-ed25519"]);
  expect(signatureAlgorithmsOf("ssh-dss")).toEqual([]);
  expect(signatureAlgorithmsOf("ssh-ed25519-cert-v01@openssh.com")).toEqual([]);
});

import { appendFile, writeFile } from "node:fs/promises";
import { installedConfig } from "@farside/protocol";
import { fingerprint, publicKeyLine, resolveHost } from "@farside/ssh";
import { failureOf, makeKeyPair, temporaryFolder } from "@farside/ssh/testing";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compileForwards } from "./compile-forwards.ts";
import { readForwardsFile } from "./read-forwards-file.ts";

const folder = await temporaryFolder();
const [signKey, vaultKey] = [await makeKeyPair(folder.file("sign")), await makeKeyPair(folder.file("vault"))];
const base64 = (blob: Uint8Array) => Buffer.from(blob).toString("base64");

beforeAll(async () => {
  await writeFile(
    folder.file("config"),
    "Host sign-1\n  HostName sign-1.example\n  User signer\n  Port 2200\n",
  );
  await writeFile(folder.file("known_hosts"), "");
  await appendFile(folder.file("known_hosts"), `[sign-1.example]:2200 ${publicKeyLine(signKey.publicKey)}\n`);
});
afterAll(() => folder[Symbol.asyncDispose]());

async function compile(text: string) {
  const configFile = folder.file("config");
  const jump = await resolveHost("build-1", { configFile, user: "builder" });
  const config = await compileForwards(readForwardsFile(text, "f.yaml"), {
    jump,
    hostKeys: { knownHostsFiles: [folder.file("known_hosts")], onWarning: () => {} },
    resolve: { configFile },
  });
  // What is sent is what the host takes.
  return v.parse(installedConfig, config);
}

const forwards = (...lines: string[]) =>
  `forwards:\n  - { id: a, listen: 4444, target: "x:1", ${lines.join(", ")} }`;

describe("compiling forwards.yaml", () => {
  test("takes names from ssh_config and host keys from known_hosts", async () => {
    const {
      name,
      forwards: [forward],
    } = await compile(forwards("via: sign-1"));
    expect(name).toBe("agent");
    expect(forward).toEqual({
      id: "a",
      bind: { kind: "loopback", port: 4444 },
      target: { kind: "tcp", host: "x", port: 1 },
      route: [
        {
          hopId: expect.stringMatching(/^hop-[0-9a-f]{16}$/),
          ...{ user: "signer", host: "sign-1.example", port: 2200 },
          hostKeys: [base64(signKey.publicKey.blob)],
          fingerprints: [],
        },
      ],
      identity: { kind: "attached" },
      admission: { allowUsers: [], allowAnyUser: false },
      // Nobody may be there to sign for more.
      connections: 1,
      ...{ maxRelays: 0, probeMs: 0 },
    });
  });

  test("a hop without a known key is an error that says what to do", async () => {
    const error = await failureOf(compile(forwards("via: root@vault")));
    expect(error).toMatchObject({ code: "host-key.unknown", leg: "hop", data: { host: "vault", port: 22 } });
    expect(error.hint).toContain("host-keys");
  });

  test("keys that the file gives are all that is accepted, by fingerprint or in full", async () => {
    const pin = fingerprint(vaultKey.publicKey.blob);
    const byPin = await compile(forwards(`via: [{ host: sign-1, host-keys: ["${pin}"] }]`));
    expect(byPin.forwards[0]?.route[0]).toMatchObject({ hostKeys: [], fingerprints: [pin] });
    const inFull = await compile(
      forwards(`via: [{ host: sign-1, host-keys: ["${publicKeyLine(vaultKey.publicKey)}"] }]`),
    );
    expect(inFull.forwards[0]?.route[0]).toMatchObject({
      hostKeys: [base64(vaultKey.publicKey.blob)],
      fingerprints: [],
    });
    const known = fingerprint(signKey.publicKey.blob);
    const pinnedKnown = await compile(forwards(`via: [{ host: sign-1, host-keys: ["${known}"] }]`));
    expect(pinnedKnown.forwards[0]?.route[0]).toMatchObject({
      hostKeys: [base64(signKey.publicKey.blob)],
      fingerprints: [],
    });
  });

  test("defaults hold where a forward says nothing, and hops are the same only with the same identity and way", async () => {
    const {
      forwards: [a, b, c],
    } = await compile(`
defaults: { via: sign-1, identity: { key-file: ~/.ssh/id }, probe: 2m, max-relays: 5 }
forwards:
  - { id: a, listen: 1, target: "x:1" }
  - { id: b, listen: 2, target: "y:1", max-relays: 6 }
  - { id: c, listen: { socket: /run/c.sock }, target: /run/d.sock, identity: attached }
`);
    expect([a?.maxRelays, b?.maxRelays, a?.probeMs, a?.connections]).toEqual([5, 6, 120_000, 4]);
    expect(a?.identity).toEqual({ kind: "key-file", path: "~/.ssh/id" });
    expect(a?.route[0]?.hopId).toBe(b?.route[0]?.hopId);
    expect(c?.route[0]?.hopId).not.toBe(a?.route[0]?.hopId);
    expect([c?.bind, c?.target]).toEqual([
      { kind: "unix", path: "/run/c.sock" },
      { kind: "unix", path: "/run/d.sock" },
    ]);
  });
});

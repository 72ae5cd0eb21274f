import type { HostConfig, Identity, PublicKey } from "@farside/ssh";
import {
  type KeyPair,
  makeKeyPair,
  type SshAgent,
  startSshAgent,
  type TemporaryFolder,
  temporaryFolder,
} from "@farside/ssh/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openIdentity } from "./identity-choice.ts";
import { codeOf } from "./testing/session-probe.ts";

let folder: TemporaryFolder;
let agent: SshAgent;
let inAgent: KeyPair;
let inFile: KeyPair;
beforeAll(async () => {
  folder = await temporaryFolder();
  inAgent = await makeKeyPair(folder.file("in-agent"));
  inFile = await makeKeyPair(folder.file("in-file"));
  agent = await startSshAgent();
  await agent.add(inAgent.path);
});
afterAll(async () => {
  await agent[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const config = (more: Partial<HostConfig> = {}) =>
  ({ identityFiles: [], identityAgent: "none", identitiesOnly: false, ...more }) as unknown as HostConfig;

/** The comments' order does not matter: keys are told apart by their blobs. */
async function namesOf(identity: Identity): Promise<string[]> {
  const names = (key: PublicKey) =>
    Buffer.from(key.blob).equals(inAgent.publicKey.blob)
      ? "agent"
      : Buffer.from(key.blob).equals(inFile.publicKey.blob)
        ? "file"
        : "?";
  return (await identity.publicKeys()).map(names);
}

describe("the identity", () => {
  it("is by default the keys of the ssh-agent, then the key files that there are", async () => {
    const identityFiles = [folder.file("missing"), inFile.path, inAgent.path];
    const opened = await openIdentity({
      configs: [config({ identityAgent: agent.socketPath, identityFiles })],
    });
    expect(await namesOf(opened.identity)).toEqual(["agent", "file"]);
    const [first] = await opened.identity.publicKeys();
    if (first === undefined) throw new Error("no key");
    const proof = { hostKey: new Uint8Array(), signature: new Uint8Array() };
    const request = { publicKey: inFile.publicKey, algorithm: "ssh-ed25519", data: Buffer.from("x"), proof };
    expect((await opened.identity.sign(request)).length).toBe(64);
    const stranger = { ...inFile.publicKey, blob: Buffer.from("?") };
    expect(await codeOf(opened.identity.sign({ ...request, publicKey: stranger }))).toBe("identity.none");
    await opened.close();
  });

  it("offers only the named files' keys with IdentitiesOnly", async () => {
    const only = { identityAgent: agent.socketPath, identityFiles: [inFile.path], identitiesOnly: true };
    const opened = await openIdentity({ configs: [config(only)] });
    expect(await namesOf(opened.identity)).toEqual(["file"]);
    await opened.close();
  });

  it("is the files alone where there is no agent", async () => {
    for (const identityAgent of ["none", folder.file("no-socket")]) {
      const opened = await openIdentity({
        configs: [config({ identityAgent, identityFiles: [inFile.path] })],
      });
      expect(await namesOf(opened.identity)).toEqual(["file"]);
      await opened.close();
    }
  });

  it("is an error where there is no key at all", async () => {
    expect(await codeOf(openIdentity({ configs: [config()] }))).toBe("identity.none");
  });

  it("is what was chosen, and an error where that is not there", async () => {
    const configs = [config({ identityAgent: agent.socketPath })];
    expect(await namesOf((await openIdentity({ choice: "agent", configs })).identity)).toEqual(["agent"]);
    expect(await namesOf((await openIdentity({ choice: inFile.path, configs })).identity)).toEqual(["file"]);
    expect(await codeOf(openIdentity({ choice: folder.file("missing"), configs }))).toBe(
      "identity.key-unreadable",
    );
    const noAgent = [config({ identityAgent: folder.file("no-socket") })];
    expect(await codeOf(openIdentity({ choice: "agent", configs: noAgent }))).toBe(
      "identity.agent-unavailable",
    );
  });

  it("that the caller brought stays the caller's", async () => {
    let closed = 0;
    const own = { kind: "card", close: async () => (closed += 1) } as unknown as Identity;
    const opened = await openIdentity({ choice: own, configs: [config()] });
    await opened.close();
    expect([opened.identity, closed]).toEqual([own, 0]);
  });
});

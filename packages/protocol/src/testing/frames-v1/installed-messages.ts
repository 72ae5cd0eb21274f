/** What is said to installed agents and to the installer, frozen as in `messages.ts`: never change one. */
import type { InstalledConfig } from "../../installed/installed-config.ts";
import * as messages from "../../installed/installed-messages.ts";
import { frozen } from "./frozen.ts";

const { exchange } = frozen();
const run = "0123456789abcdef".repeat(2);
const digest = "0123456789abcdef".repeat(4);
const folder = "/home/builder/.local/share/farside/signing";
const error = {
  code: "forward.port-in-use",
  message: "cannot listen on 127.0.0.1:4444 of the jump host: nginx holds the port",
  hint: "Take another port.",
  leg: "bind" as const,
};
const config: InstalledConfig = {
  version: 1,
  name: "signing",
  forwards: [
    {
      id: "sign",
      bind: { kind: "loopback", port: 4444 },
      target: { kind: "tcp", host: "localhost", port: 4444 },
      route: [
        {
          hopId: "hop-0123456789abcdef",
          user: "signer",
          host: "größe.example",
          port: 22,
          hostKeys: ["AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"],
          fingerprints: ["SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
        },
      ],
      identity: { kind: "attached" },
      admission: { allowUsers: ["jenkins"], allowAnyUser: false },
      ...{ maxRelays: 0, connections: 1, probeMs: 30_000 },
    },
    {
      id: "vault",
      bind: { kind: "unix", path: "~/vault.sock" },
      target: { kind: "unix", path: "/run/vault.sock" },
      route: [],
      identity: { kind: "key-file", path: "~/.ssh/id_ed25519" },
      admission: { allowUsers: [], allowAnyUser: true },
      ...{ maxRelays: 1_000_000, connections: 16, probeMs: 0 },
    },
    {
      id: "stamps",
      bind: { kind: "tcp", address: "10.0.0.5", port: 8080 },
      target: { kind: "tcp", host: "tsa.example", port: 80 },
      route: [],
      identity: { kind: "ssh-agent", path: "/run/agent.sock" },
      admission: { allowUsers: [], allowAnyUser: false },
      ...{ maxRelays: 0, connections: 4, probeMs: 0 },
    },
  ],
};

export const installedMessages = {
  ...exchange(
    messages.describeInstalled,
    {},
    {
      config,
      forwards: [
        {
          id: "sign",
          bound: [{ kind: "tcp", address: "127.0.0.1", port: 4444 }],
          state: { phase: "needs-signature", waitsFor: "signer@größe.example:22", lastError: error },
          openRelays: 1,
          totalRelays: 70_000,
        },
      ],
      isServing: true,
      waitingHops: ["hop-0123456789abcdef"],
      lenders: 2,
      audit: { seq: 214, hash: digest },
    },
  ),
  ...exchange(
    messages.applyConfig,
    { config, graceMs: 10_000 },
    {
      changes: [
        { id: "sign", change: "changed", error },
        { id: "old", change: "removed" },
      ],
    },
  ),
  ...exchange(
    messages.lendIdentity,
    { hops: [{ hopId: "hop-0123456789abcdef", publicKeys: [new Uint8Array([0, 0, 0, 11, 255])] }] },
    { waitingHops: [] },
  ),
  ...exchange(
    messages.upgradeInstalled,
    { bundle: `${folder}/agent-0123456789abcdef.cjs`, graceMs: 3_600_000 },
    { pid: 4_194_304, control: `${folder}/control.sock.next` },
  ),
  ...exchange(
    messages.lookAtHost,
    { name: "signing" },
    {
      user: "builder",
      supervisor: "daemon",
      whyNot: "there is no systemd",
      hasSystemd: false,
      isLingering: false,
      folder,
      control: `${folder}/control.sock`,
      files: [folder],
      installed: [
        {
          ...{ name: "signing", folder, run, supervisor: "systemd", digest, config },
          ...{ state: "active", isRunning: true, files: [folder, `${folder}/forwards.json`] },
        },
      ],
    },
  ),
  ...exchange(
    messages.putAgent,
    { config, run, supervisor: "systemd" },
    { control: `${folder}/control.sock`, digest },
  ),
  ...exchange(
    messages.putBundle,
    { name: "signing" },
    { bundle: `${folder}/agent-0123456789abcdef.cjs`, digest, isCurrent: false },
  ),
  ...exchange(messages.removeAgent, { name: "signing" }, { removed: [folder] }),
  ...exchange(
    messages.logCommand,
    { name: "signing", lines: 100, follow: true },
    { argv: ["tail", "-n", "100", "-F", `${folder}/agent.log`] },
  ),
  ...exchange(messages.holdAudit, { name: "signing" }, { bytes: 2 ** 28, head: { seq: 214, hash: digest } }),
  ...exchange(
    messages.readHeldAudit,
    { offset: 2 ** 27, length: 262_144 },
    { data: new Uint8Array([123, 125, 10]) },
  ),
};

/** What each frozen frame of this folder says. Never change one; a new message gets a new entry and `freeze-frames.ts`. */
import type { WireValue } from "../../message-stream.ts";
import * as messages from "../../messages.ts";
import { frozen } from "./frozen.ts";
import { installedMessages } from "./installed-messages.ts";

const key = new Uint8Array([0, 0, 0, 11, 115, 115, 104, 45, 101, 100, 50, 53, 53, 49, 57, 0, 0, 0, 1, 255]);
const error = {
  code: "hop.lost",
  message: "signer@sign:22: the connection was reset",
  hint: "Look there.",
  leg: "hop" as const,
};

const { exchange, event } = frozen();

export const frozenMessages = {
  ...exchange(
    messages.openForward,
    {
      forwardId: "1",
      bind: { kind: "loopback", port: 4444 },
      target: { kind: "tcp", host: "localhost", port: 4444 },
      route: [
        {
          hopId: "1",
          user: "signer",
          host: "172.16.16.160",
          port: 22,
          hostKeys: [key],
          publicKeys: [key],
          connectTimeoutMs: 10_000,
        },
      ],
      admission: { allowUsers: ["builder"], allowAnyUser: false },
      maxRelays: 0,
    },
    {
      bound: [
        { kind: "tcp", address: "127.0.0.1", port: 4444 },
        { kind: "unix", path: "/run/user/1000/sign.sock" },
      ],
    },
  ),
  ...exchange(messages.closeForward, { forwardId: "1", graceMs: 10_000 }, {}),
  ...exchange(messages.renewLease, {}, { openRelays: 3 }),
  ...exchange(
    messages.describeAgent,
    {},
    {
      forwards: [
        {
          forwardId: "1",
          openRelays: 1,
          totalRelays: 70_000,
          refusedRelays: 2,
          bytesIn: 300,
          bytesOut: 2 ** 40 + 1,
        },
      ],
      rssBytes: 60_000_000,
      uptimeMs: 2 ** 33,
      eventsDropped: 0,
    },
  ),
  ...exchange(messages.stopAgent, { graceMs: 0 }, { relaysCut: 1 }),
  ...exchange(
    messages.signWithIdentity,
    { hopId: "1", data: new Uint8Array(300).fill(7), hostKey: key, serverSignature: key },
    { signature: key },
  ),
  ...event(messages.agentHello, {
    protocol: { min: 1, max: 1 },
    agentVersion: "0.1.0",
    digest: "0123456789abcdef".repeat(4),
    capabilities: ["one", "two"],
    pid: 4_194_304,
    node: "18.18.0",
    platform: "linux",
    hostname: "build",
    uid: 1000,
    user: "builder",
  }),
  ...event(messages.orchestratorHello, {
    protocol: 1,
    session: "quiet-heron",
    leaseMs: 15_000,
    ttlMs: 0,
    idleMs: 0,
    logLevel: "info",
    capabilities: [],
  }),
  ...event(messages.hopConnected, {
    hopId: "1",
    user: "signer",
    host: "größe.example",
    port: 22,
    hostKey: key,
  }),
  ...event(messages.forwardChanged, {
    forwardId: "1",
    state: { phase: "degraded", waitsFor: "the hop", retryInMs: 800, lastError: error },
  }),
  ...event(messages.forwardTakenOver, {
    forwardId: "1",
    ...{ address: "127.0.0.1:4444", from: { session: "calm-otter", pid: 812 }, reason: "lease-over" },
  }),
  ...event(messages.hopLost, {
    hopId: "1",
    error: { ...error, data: { port: 22, isRetried: true, by: "target" } },
  }),
  ...event(messages.relayOpened, { forwardId: "1", relayId: 1, peer: "127.0.0.1:54321", uid: 1000 }),
  ...event(messages.relayClosed, {
    forwardId: "1",
    relayId: 1,
    peer: "unix",
    uid: -1,
    bytesIn: 5,
    bytesOut: 2 ** 31,
    durationMs: 1234,
    reason: "error",
    error,
  }),
  ...event(messages.relayRefused, {
    forwardId: "1",
    peer: "[::1]:54321",
    uid: 1001,
    reason: "other-user",
    hint: "--allow-user eve",
  }),
  ...event(messages.agentWarning, { message: "No IPv6.", hint: "None needed.", leg: "bind" }),
  ...event(messages.eventsDropped, { count: 12 }),
  ...event(messages.agentEnding, {
    reason: "lease-expired",
    error: { code: "lease.expired", message: "not renewed" },
  }),
  ...exchange(
    messages.runCommand,
    {
      commandId: 1,
      argv: ["make", "größe"],
      environment: { FARSIDE_PORT_1: "4444" },
      terminal: { columns: 80, rows: 24, type: "xterm-256color" },
    },
    { exitCode: 143, signal: "SIGTERM" },
  ),
  ...exchange(
    messages.commandInput,
    { commandId: 1, data: new Uint8Array([0, 255]), isLast: true },
    { isOpen: true },
  ),
  ...exchange(
    messages.commandOutput,
    { commandId: 1, stream: "stderr", data: new Uint8Array([7]) },
    { isOpen: false },
  ),
  ...exchange(messages.signalCommand, { commandId: 1, signal: "SIGINT" }, {}),
  ...event(messages.resizeCommand, { commandId: 1, columns: 120, rows: 40 }),
  ...exchange(messages.detachAgent, {}, {}),
  ...exchange(messages.probeBind, { bind: { kind: "unix", path: "/run/user/1000/sign.sock" } }, {}),
  ...exchange(
    messages.probeRoute,
    { route: [], targets: [{ kind: "tcp", host: "localhost", port: 4444 }] },
    { targets: [{ durationMs: 12, error }] },
  ),
  ...exchange(messages.describeHost, {}, { openFiles: 1024, killsUserProcesses: true, lingers: false }),
  ...exchange(messages.readyIdentity, { hopId: "1" }, {}),
  ...exchange(
    messages.openMetrics,
    {
      port: 0,
      takeOver: { session: "calm-otter", lostRuns: ["0123456789abcdef".repeat(2)], isForced: true },
    },
    { bound: [{ kind: "tcp", address: "127.0.0.1", port: 9100 }] },
  ),
  failure: { kind: "failure", id: 1, error },
  cancel: { kind: "cancel", id: 1 },
  ...installedMessages,
} as Readonly<Record<string, WireValue>>;

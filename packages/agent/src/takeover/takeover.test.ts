import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import type net from "node:net";
import os from "node:os";
import path from "node:path";
import { isCodedError } from "@farside/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Listener } from "../forwarding/listener.ts";
import { hasOtherUsers, NOBODY } from "../testing/other-user.ts";
import { type Holder, type HolderOptions, RUN, startHolder } from "../testing/start-holder.ts";
import { agentTitle, installedTitle, leaseUntil, parseAgentTitle } from "./agent-title.ts";
import { decideTakeover, type TakeoverRequest } from "./decide-takeover.ts";
import { openTakingOver, type TakenOver } from "./open-taking-over.ts";
import { proveAgent } from "./proven-agent.ts";

const uid = process.getuid?.() ?? 0;
const request: TakeoverRequest = { session: "new", lostRuns: [], isForced: false };

let folder: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "fs-take-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  await rm(folder, { recursive: true, force: true });
});

async function holder(options: HolderOptions = {}): Promise<Holder> {
  const started = await startHolder(options);
  children.push(started.child);
  return started;
}

async function take(
  { port }: { readonly port: number },
  changes: Partial<TakeoverRequest> = {},
): Promise<{ taken: TakenOver[]; error: unknown }> {
  const taken: TakenOver[] = [];
  let listener: Listener | undefined;
  let error: unknown;
  try {
    listener = await openTakingOver(
      { kind: "tcp", address: "127.0.0.1", port },
      { onConnection: (socket) => socket.destroy(), onError: () => {} },
      { uid, request: { ...request, ...changes }, onTaken: (each) => taken.push(each) },
    );
  } catch (caught) {
    error = caught;
  }
  await listener?.close();
  return { taken, error };
}

describe("the title of an agent", () => {
  test("says its session and its lease, and is read back", () => {
    const until = leaseUntil(15_000);
    expect(parseAgentTitle(agentTitle("calm-otter", until))).toEqual({
      session: "calm-otter",
      leaseUntil: until,
    });
    expect(parseAgentTitle(agentTitle("x", "never"))).toEqual({ session: "x", leaseUntil: undefined });
    expect(parseAgentTitle(agentTitle("a b\u001b[31m"))).toEqual({
      session: "a_b_[31m",
      leaseUntil: undefined,
    });
    for (const other of ["farside-agentx y", "node server.js", "farside-agent", "farside-agent a b", ""])
      expect(parseAgentTitle(other)).toBeUndefined();
  });
});

/** A program of ours with another user's rights, or with ours and another's: it may be signalled, and is none of ours to end. */
const actsForAnother: [string, HolderOptions] = [
  "acts for another user",
  { more: `process.seteuid(${NOBODY})` },
];

describe("an agent", () => {
  test("is proven by its user, its deploy, its program and its title", async () => {
    const { pid } = await holder();
    expect(await proveAgent(pid, uid)).toMatchObject({ pid, session: "old", run: RUN, control: undefined });
    const leaseOver = (await proveAgent(pid, uid))?.leaseOverForS ?? 0;
    expect(leaseOver).toBeLessThan(0);
    expect(await proveAgent(pid, uid + 1)).toBeUndefined();
  });

  test.each<[string, HolderOptions]>([
    ["is called otherwise", { title: "node" }],
    ["was not deployed", { env: {} }],
    ["has a mark that is none", { env: { FARSIDE_RUN: "yes" } }],
    ["is a command that an agent runs", { env: { FARSIDE_RUN: RUN, FARSIDE_COMMAND: `${RUN}-1` } }],
    ...(hasOtherUsers ? [actsForAnother] : []),
  ])("that %s is none, and keeps its port, forced or not", async (_what, options) => {
    const other = await holder(options);
    expect(await proveAgent(other.pid, uid)).toBeUndefined();
    const { error, taken } = await take(other, { isForced: true, session: "old", lostRuns: [RUN] });
    expect(isCodedError(error) && error.code).toBe("forward.port-in-use");
    expect(taken).toEqual([]);
    expect(other.child.exitCode ?? other.child.signalCode).toBeNull();
  });
});

test("what has an agent's title and mark, and is another program, is none", async () => {
  const child = spawn("cat", [], {
    argv0: agentTitle("old"),
    env: { PATH: process.env["PATH"] ?? "", FARSIDE_RUN: RUN },
    stdio: ["pipe", "ignore", "inherit"],
  });
  children.push(child);
  await once(child, "spawn");
  const { pid = 0 } = child;
  // Until it is that program.
  await expect.poll(() => readFile(`/proc/${pid}/cmdline`, "utf8")).toBe(`${agentTitle("old")}\0`);
  expect(await proveAgent(pid, uid)).toBeUndefined();
});

describe("a port that an agent holds", () => {
  const over = agentTitle("old", leaseUntil(-10_000));
  test.each<[TakenOver["reason"], Partial<TakeoverRequest>, HolderOptions]>([
    ["same-name", { session: "old" }, {}],
    ["orchestrator-gone", { lostRuns: [RUN] }, {}],
    ["lease-over", {}, { title: over }],
    ["forced", { isForced: true }, {}],
  ])("is taken over: %s", async (reason, changes, options) => {
    const old = await holder(options);
    const { taken, error } = await take(old, changes);
    expect(error).toBeUndefined();
    const address = `127.0.0.1:${old.port}`;
    expect(taken).toEqual([{ address, from: { session: "old", pid: old.pid }, reason }]);
    await expect.poll(() => old.child.signalCode).toBe("SIGTERM");
  });

  test("stays with a live one, whose session the error names", async () => {
    const old = await holder();
    const { error, taken } = await take(old);
    expect(error).toMatchObject({
      code: "forward.port-in-use",
      hint: expect.stringContaining("--take-over"),
      data: { session: "old", holder: `pid ${old.pid} (farside-agent old)` },
    });
    expect(taken).toEqual([]);
    expect(old.child.signalCode).toBeNull();
  });

  test("stays with one that is installed, forced or not; the error names it and what ends it", async () => {
    const kept = await holder({ title: installedTitle("nightly") });
    const { error, taken } = await take(kept, { isForced: true, session: "nightly", lostRuns: [RUN] });
    expect(error).toMatchObject({
      code: "forward.port-in-use",
      hint: expect.stringMatching(/installed agent nightly.*farside agent apply.*farside agent uninstall/),
      data: { installed: "nightly", holder: `pid ${kept.pid} (farside-installed nightly)` },
    });
    expect(taken).toEqual([]);
    expect(kept.child.signalCode).toBeNull();
  });

  test("is taken from one that is stopped, and from one that does not hear SIGTERM", async () => {
    const stopped = await holder({ title: over });
    process.kill(stopped.pid, "SIGSTOP");
    expect((await take(stopped)).taken).toMatchObject([{ reason: "lease-over" }]);
    await expect.poll(() => stopped.child.signalCode).toBe("SIGTERM");
    const deaf = await holder({ title: over, more: 'process.on("SIGTERM", () => {})' });
    expect((await take(deaf)).error).toBeUndefined();
    await expect.poll(() => deaf.child.signalCode).toBe("SIGKILL");
  });

  test("is not taken where nothing was asked for", async () => {
    const old = await holder({ title: over });
    const bind = { kind: "tcp", address: "127.0.0.1", port: old.port } as const;
    const options = { onConnection: (socket: net.Socket) => socket.destroy(), onError: () => {} };
    const context = { uid, request: undefined, onTaken: () => {} };
    await expect(openTakingOver(bind, options, context)).rejects.toMatchObject({
      code: "forward.port-in-use",
    });
    expect(old.child.signalCode).toBeNull();
  });

  test("of a lease that has just run out is left to end by itself", () => {
    const holderOf = (leaseOverForS: number | undefined) => ({ session: "old", run: RUN, leaseOverForS });
    expect([undefined, -5, 0, 2, 3].map((over_) => decideTakeover(holderOf(over_), request))).toEqual([
      ...[undefined, undefined, undefined, undefined],
      "lease-over",
    ]);
  });
});

describe("a socket's path", () => {
  const open = async (file: string, changes: Partial<TakeoverRequest> = {}) => {
    const taken: TakenOver[] = [];
    const listener = await openTakingOver(
      { kind: "unix", path: file },
      { onConnection: (socket) => socket.destroy(), onError: () => {} },
      { uid, request: { ...request, ...changes }, onTaken: (each) => taken.push(each) },
    );
    await listener.close();
    return taken;
  };

  test("where nobody listens any more is taken over; where somebody does, it is not", async () => {
    const file = path.join(folder, "a.sock");
    const other = await holder({ title: "node", env: {}, listen: JSON.stringify(file) });
    await expect(open(file, { isForced: true })).rejects.toMatchObject({ code: "forward.port-in-use" });
    other.child.kill("SIGKILL");
    await once(other.child, "exit");
    expect((await stat(file)).isSocket()).toBe(true);
    expect(await open(file)).toEqual([{ address: file, reason: "stale-socket" }]);
  });

  test("that is held by an agent follows the same rules as a port", async () => {
    const file = path.join(folder, "b.sock");
    const old = await holder({ listen: JSON.stringify(file) });
    await expect(open(file)).rejects.toMatchObject({
      code: "forward.port-in-use",
      hint: expect.stringContaining("--take-over"),
    });
    const [taken, ...rest] = await open(file, { isForced: true });
    expect(taken).toMatchObject({ from: { session: "old", pid: old.pid }, reason: "forced" });
    // What was killed leaves its socket.
    expect(rest.map(({ reason }) => reason)).toEqual(["stale-socket"]);
  });
});

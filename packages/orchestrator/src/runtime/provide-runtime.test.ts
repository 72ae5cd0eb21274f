import { mkdir, mkdtemp, readdir, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { CodedError } from "@farside/protocol";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { deployAndForward, startSession } from "../deploy-and-forward.ts";
import type { ForwardOptions } from "../forward-options.ts";
import { type BuiltAgent, buildAgent } from "../testing/build-agent.ts";
import { type JumpHost, startJumpHost } from "../testing/jump-host.ts";
import { eventsNamed } from "../testing/session-probe.ts";

let agent: BuiltAgent;
let folder: string;
let cacheHome: string;
const cacheBefore = process.env["XDG_CACHE_HOME"];
beforeAll(async () => {
  agent = await buildAgent();
  // One for all tests: packing takes seconds.
  cacheHome = await mkdtemp(join(tmpdir(), "farside-cache-"));
  process.env["XDG_CACHE_HOME"] = cacheHome;
});
afterAll(async () => {
  if (cacheBefore === undefined) delete process.env["XDG_CACHE_HOME"];
  else process.env["XDG_CACHE_HOME"] = cacheBefore;
  await rm(cacheHome, { recursive: true, force: true });
  await agent[Symbol.asyncDispose]();
});

/** A real sshd whose logins have folders of their own for what is sent. */
let host: JumpHost;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-host-"));
  for (const name of ["run", "cache"]) await mkdir(join(folder, name), { mode: 0o700 });
  host = await startJumpHost(agent.bundle, {
    environment: { XDG_RUNTIME_DIR: `${folder}/run`, XDG_CACHE_HOME: `${folder}/cache` },
  });
});
afterEach(async () => {
  await host[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const upload = (more: Partial<ForwardOptions> = {}) =>
  host.options({ remoteNode: undefined, runtime: "upload", runtimeFile: process.execPath, ...more });
const found = async () => [
  ...(await readdir(join(folder, "run"))),
  ...(await readdir(join(folder, "cache"))),
];

describe("a Node.js that is sent", { timeout: 60_000 }, () => {
  it("runs without a name, and nothing of it is there while and after it does", async () => {
    const options = upload();
    await using session = await deployAndForward(options);
    const [sent] = eventsNamed(options.events, "runtime.upload");
    expect(sent).toMatchObject({ runtime: process.execPath, folder: `${folder}/run`, kept: false });
    expect(sent?.bytes).toBeGreaterThan(1_000_000);
    expect(sent?.bytes).toBeLessThan(sent?.size ?? 0);
    const [ready] = eventsNamed(options.events, "agent.ready");
    expect(ready?.deploy.bytes).toBeGreaterThan(sent?.bytes ?? 0);
    const agentProcess = `/proc/${ready?.pid}`;
    const program = await readlink(`${agentProcess}/exe`);
    expect(program).toContain("(deleted)");
    // A command would inherit it, and keep the file alive.
    const open = await Promise.all(
      (await readdir(`${agentProcess}/fd`)).map((fd) => readlink(`${agentProcess}/fd/${fd}`).catch(() => "")),
    );
    expect(open).not.toContain(program);
    expect(await found()).toEqual([]);
    const { receipt } = await session.close();
    expect(receipt).toMatchObject({ clean: true, files: [] });
    expect(await found()).toEqual([]);
  });

  it("is left with --keep-runtime, and taken the next time without being sent", async () => {
    const first = upload({ keepRuntime: true });
    await (await deployAndForward(first)).close();
    expect(eventsNamed(first.events, "runtime.upload")[0]).toMatchObject({
      folder: `${folder}/cache`,
      kept: true,
    });
    expect(eventsNamed(first.events, "receipt")[0]).toMatchObject({ clean: true });
    const kept = join(folder, "cache", `.farside-runtime-${userInfo().uid}`);
    const [name] = await readdir(kept);
    expect(name).toMatch(/^node-[0-9a-f]{64}$/);

    const second = upload();
    await using session = await deployAndForward(second);
    expect(eventsNamed(second.events, "runtime.upload")).toEqual([]);
    const [ready] = eventsNamed(second.events, "agent.ready");
    expect(await readlink(`/proc/${ready?.pid}/exe`)).toBe(join(kept, name ?? ""));
    await session.close();

    // One that somebody has changed is not taken.
    await writeFile(join(kept, name ?? ""), "#!/bin/sh\nexit 0\n", { mode: 0o700 });
    const third = upload({ keepRuntime: true });
    await (await deployAndForward(third)).close();
    expect(eventsNamed(third.events, "runtime.upload")).toHaveLength(1);
    expect(await readdir(kept)).toEqual([name]);
  });

  it("leaves nothing where the session is stopped while it is on its way", async () => {
    for (const keepRuntime of [false, true]) {
      const options = upload({
        keepRuntime,
        onRuntimeProgress: ({ sent }) => sent > 1_000_000 && void session.close(),
      });
      const session = await startSession(options);
      const { receipt } = await session.closed;
      expect(eventsNamed(options.events, "agent.ready")).toEqual([]);
      expect(receipt).toMatchObject({ clean: true });
      const left = await found();
      for (const name of left) expect(await readdir(join(folder, "cache", name))).toEqual([]);
    }
  });

  it("is not sent where the host's C library is another one", async () => {
    const musl = join(folder, "musl-node");
    await writeFile(
      musl,
      elfWithInterpreter("/lib/ld-musl-x86_64.so.1", process.arch === "arm64" ? 183 : 62),
    );
    const options = upload({ runtimeFile: musl });
    const failure = await deployAndForward(options).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: "agent.unsupported-host",
      message: expect.stringMatching(/C library is glibc.*needs musl.*found Linux .*glibc 2\.\d+/),
    });
    expect(eventsNamed(options.events, "runtime.upload")).toEqual([]);
    expect(await found()).toEqual([]);
  });

  it("is not sent where the file is no program", async () => {
    const failure = await deployAndForward(upload({ runtimeFile: "/etc/hostname" })).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({
      code: "config.invalid",
      message: expect.stringContaining("/etc/hostname"),
    });
  });

  it("that does not run there is told with what it printed", async () => {
    const fake = join(folder, "fake-node");
    await writeFile(
      fake,
      elfWithInterpreter("/lib64/ld-linux-x86-64.so.2", process.arch === "arm64" ? 183 : 62),
    );
    const failure = await deployAndForward(upload({ runtimeFile: fake })).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CodedError);
    expect(failure).toMatchObject({
      code: "agent.start-failed",
      message: expect.stringContaining("does not run there"),
    });
  });
});

/** The beginning of a program, as far as it is looked at. */
function elfWithInterpreter(interpreter: string, machine: number): Buffer {
  const file = Buffer.alloc(64 + 56 + interpreter.length + 1);
  file.writeUInt32BE(0x7f454c46, 0);
  file.set([2, 1, 1], 4);
  file.writeUInt16LE(machine, 18);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(1, 56);
  file.writeUInt32LE(3, 64);
  file.writeBigUInt64LE(120n, 64 + 8);
  file.writeBigUInt64LE(BigInt(interpreter.length + 1), 64 + 32);
  file.write(interpreter, 120, "latin1");
  return file;
}

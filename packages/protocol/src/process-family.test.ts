import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { ProcessFamily } from "./process-family.ts";

let started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started) child.kill("SIGKILL");
  started = [];
});

/** Runs `script` with a mark of its own; resolves when it has printed something. */
async function start(script: string) {
  const mark = `FARSIDE_TEST=${randomBytes(16).toString("hex")}`;
  const [name = "", value = ""] = mark.split("=");
  const child = spawn("/bin/sh", ["-c", script], {
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, [name]: value },
  });
  started.push(child);
  const family = new ProcessFamily(child.pid ?? 0, mark);
  // Before what it prints is waited for: of one that ends right behind that, the exit may be heard of first.
  const exited = once(child, "exit").then(([code, signal]) => {
    family.leaderReaped();
    return [code, signal];
  });
  await once(child.stdout, "data");
  return { child, family, exited };
}

describe("a process family", () => {
  test("is the group, and what has left it with its environment", async () => {
    const { family } = await start("sleep 60 & setsid sleep 60 & echo up; wait");
    // One that is just becoming another program shows no environment for a moment.
    await expect.poll(() => family.members()).toHaveLength(3);
    family.killNow();
    await family.end({ graceMs: 0 });
    expect(family.members()).toEqual([]);
  });

  test("has a member that has wiped its environment, as long as it stays in the group", async () => {
    const { family } = await start("env -i sleep 60 & echo up; wait");
    await family.end({ graceMs: 0 });
    expect(family.members()).toEqual([]);
  });

  test("gets SIGTERM first, and may end by itself", async () => {
    const { family, exited } = await start("trap 'exit 7' TERM; echo up; sleep 60 & wait");
    await family.end({ graceMs: 5_000 });
    expect(await exited).toEqual([7, null]);
    expect(family.members()).toEqual([]);
  });

  test("gets SIGKILL after the grace where it ignores SIGTERM", async () => {
    const { family, exited } = await start("trap '' TERM; echo up; while :; do sleep 0.1; done");
    const startedAt = performance.now();
    await family.end({ graceMs: 300 });
    expect(await exited).toEqual([null, "SIGKILL"]);
    expect(performance.now() - startedAt).toBeGreaterThan(290);
    expect(family.members()).toEqual([]);
  });

  test("has no grace left once it is hurried", async () => {
    const { family, exited } = await start("trap '' TERM; echo up; while :; do sleep 0.1; done");
    const hurry = new AbortController();
    const ended = family.end({ graceMs: 30_000, hurry: hurry.signal });
    hurry.abort();
    await ended;
    expect(await exited).toEqual([null, "SIGKILL"]);
  });

  test("is ended also where its leader is dead and one of it is stopped", async () => {
    const { family, exited } = await start("sleep 60 & kill -STOP $!; echo up");
    await exited;
    expect(family.members()).toHaveLength(1);
    await family.end({ graceMs: 5_000 });
    expect(family.members()).toEqual([]);
    expect(family.signalGroup("SIGTERM")).toBe(false);
  });
});

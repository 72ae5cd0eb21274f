import { execFile } from "node:child_process";
import { access, copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { waitFor, within } from "../support/wait-for.ts";
import { type Loopback, startLoopback } from "./loopback.ts";
import { CTRL_C, CTRL_D, CTRL_Z, TerminalRun, type TerminalRunOptions } from "./terminal-run.ts";

let loopback: Loopback;
beforeAll(async () => {
  loopback = await startLoopback();
});
afterAll(() => loopback[Symbol.asyncDispose]());

const inTerminal = (argv: readonly string[], options?: TerminalRunOptions) =>
  new TerminalRun(argv, loopback.environment, options);

test("Ctrl-C in a terminal ends the session in order: a live line, the receipt, exit 0", async () => {
  await using terminal = inTerminal(loopback.job());
  await terminal.shows(/ready: session/);
  await terminal.shows(/0 relays open, 0 so far/);
  terminal.type(CTRL_C);
  const text = await terminal.end();
  expect(text).toContain("nothing left on");
  expect(text).toContain("exit 0");
  expect(text).toContain("modes icanon echo");
});

test("a terminal that is closed ends the session in order: nothing is left, its record is gone, and it does not crash", async () => {
  const codeFile = loopback.sshd.folder.file("exit-code");
  await using terminal = inTerminal(loopback.job("--name", "hangup"), { codeFile });
  await terminal.shows(/ready: session/);
  const record = join(loopback.stateHome, "farside", "hangup", "session.json");
  const { pid, agentPid } = await waitFor(
    async () => {
      const facts = JSON.parse(await readFile(record, "utf8")) as { pid: number; agentPid?: number };
      return facts.agentPid === undefined ? undefined : facts;
    },
    { what: "the agent in the record" },
  );
  // Its end closes the terminal: the kernel sends SIGHUP, and nothing can be written any more.
  terminal.run.process.kill("SIGKILL");
  const isGone = (path: string) =>
    access(path).then(
      () => false,
      () => true,
    );
  await waitFor(() => isGone(`/proc/${pid}`), { what: "the end of farside", withinMs: 30_000 });
  // A record that stays is a receipt that was not clean.
  expect(await isGone(record)).toBe(true);
  expect(await isGone(`/proc/${agentPid}`)).toBe(true);
  // Not 139: Node.js dies of SIGSEGV where it can't give a terminal its modes back.
  const exitCode = () => readFile(codeFile, "utf8").catch(() => "");
  expect(await waitFor(async () => (await exitCode()).trim(), { what: "its exit code" })).toBe("0");
});

test("a terminal without a size is no reason to hang", async () => {
  await using terminal = inTerminal(loopback.job(), { size: "cols 0 rows 0" });
  await terminal.shows(/ready: session/);
  terminal.type(CTRL_C);
  expect(await terminal.end()).toContain("exit 0");
});

/** The job with a key file that has a passphrase: "open sesame". */
async function lockedJob(): Promise<string[]> {
  const locked = loopback.sshd.folder.file("locked");
  await copyFile(loopback.sshd.userKey.path, locked);
  await promisify(execFile)("ssh-keygen", ["-q", "-p", "-P", "", "-N", "open sesame", "-f", locked]);
  return loopback.job().map((word) => (word === loopback.sshd.userKey.path ? locked : word));
}

test("Ctrl-Z at a hidden question stops it, and when it goes on it asks anew", async () => {
  await using terminal = inTerminal(await lockedJob(), { isContinued: true });
  await terminal.shows(/Passphrase of/);
  terminal.type(`wrong${CTRL_Z}`);
  await terminal.shows(/stopped[\s\S]*Passphrase of/);
  terminal.type("open sesame\r");
  await terminal.shows(/ready: session/);
  terminal.type(CTRL_C);
  const text = await terminal.end();
  expect(text).not.toMatch(/wrong|sesame/);
  expect(text).toContain("exit 0");
  expect(text).toContain("modes icanon echo");
});

test("Ctrl-C or Ctrl-D at a hidden question calls it off: exit 130, nothing of it shown, the terminal as it was", async () => {
  const argv = await lockedJob();
  for (const typed of [`open${CTRL_C}`, `open${CTRL_D}`, CTRL_D]) {
    await using terminal = inTerminal(argv);
    await terminal.shows(/Passphrase of/);
    terminal.type(typed);
    const text = await terminal.end();
    expect(text).not.toContain("open");
    expect(text).toContain("exit 130");
    expect(text).toContain("modes icanon echo");
  }
  await using terminal = inTerminal(argv);
  await terminal.shows(/Passphrase of/);
  terminal.type("open sesame\r");
  await terminal.shows(/ready: session/);
  terminal.type(CTRL_C);
  const text = await terminal.end();
  expect(text).not.toContain("sesame");
  expect(text).toContain("exit 0");
});

test("an unknown host key is asked about, with its fingerprint; no is no", async () => {
  const empty = `${loopback.knownHosts}.empty`;
  const argv = loopback
    .job("--host-key-check", "ask")
    .map((word) => (word === loopback.knownHosts ? empty : word));
  await using terminal = inTerminal(argv);
  await terminal.shows(/It is ssh-ed25519 SHA256:/);
  await terminal.shows(/\(yes\/no\)/);
  terminal.type("no\r");
  const text = await terminal.end();
  expect(text).toContain("error[host-key.declined]");
  expect(text).toContain("exit 77");
  expect(await within(terminal.run.result, 30_000, "the end")).toMatchObject({ code: 0 });
});

import { execFile, spawn } from "node:child_process";
import { copyFile } from "node:fs/promises";
import { promisify, stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { waitFor, within } from "../support/wait-for.ts";
import { type Loopback, startLoopback } from "./loopback.ts";
import { CliRun, cliPath } from "./run-cli.ts";

const CTRL_C = "\u0003";
let loopback: Loopback;
beforeAll(async () => {
  loopback = await startLoopback();
});
afterAll(() => loopback[Symbol.asyncDispose]());

const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;

/** farside in a terminal of its own; what it leaves of the terminal's modes is printed behind it. */
class TerminalRun implements AsyncDisposable {
  readonly run: CliRun;

  constructor(argv: readonly string[], size = "cols 120 rows 40") {
    const line = [process.execPath, cliPath, ...argv].map(quoted).join(" ");
    const modes = "stty -a | grep -o -- '-\\{0,1\\}icanon\\|-\\{0,1\\}echo\\>' | tr '\\n' ' '";
    // The shell gets the Ctrl-C too, and must outlive it to tell the rest.
    const script = `trap : INT; stty ${size}; ${line}; echo "exit $?"; echo "modes $(${modes})"`;
    this.run = new CliRun(
      spawn("script", ["--quiet", "--flush", "--return", "--command", script, "/dev/null"], {
        stdio: ["pipe", "pipe", "pipe"],
        env: { ...loopback.environment, TERM: "xterm-256color" },
        detached: true,
      }),
    );
  }

  get text(): string {
    return stripVTControlCharacters(this.run.stdout);
  }

  async shows(pattern: RegExp): Promise<void> {
    const detail = () => JSON.stringify(this.run.stdout.slice(-4000));
    await waitFor(() => pattern.test(this.text), { what: String(pattern), withinMs: 20_000, detail });
  }

  type(text: string): void {
    this.run.process.stdin?.write(text);
  }

  async end(): Promise<string> {
    await this.shows(/modes [^\n]*\n/);
    return this.text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.run.process.stdin?.end();
    await this.run[Symbol.asyncDispose]();
  }
}

test("Ctrl-C in a terminal ends the session in order: a live line, the receipt, exit 0", async () => {
  await using terminal = new TerminalRun(loopback.job());
  await terminal.shows(/ready: session/);
  await terminal.shows(/0 relays open, 0 so far/);
  terminal.type(CTRL_C);
  const text = await terminal.end();
  expect(text).toContain("nothing left on");
  expect(text).toContain("exit 0");
  expect(text).toContain("modes icanon echo");
});

test("a terminal without a size is no reason to hang", async () => {
  await using terminal = new TerminalRun(loopback.job(), "cols 0 rows 0");
  await terminal.shows(/ready: session/);
  terminal.type(CTRL_C);
  expect(await terminal.end()).toContain("exit 0");
});

test("Ctrl-C at a hidden question calls it off: exit 130, nothing of it shown, the terminal as it was", async () => {
  const locked = loopback.sshd.folder.file("locked");
  await copyFile(loopback.sshd.userKey.path, locked);
  await promisify(execFile)("ssh-keygen", ["-q", "-p", "-P", "", "-N", "open sesame", "-f", locked]);
  const argv = loopback.job().map((word) => (word === loopback.sshd.userKey.path ? locked : word));
  {
    await using terminal = new TerminalRun(argv);
    await terminal.shows(/Passphrase of/);
    terminal.type(`open${CTRL_C}`);
    const text = await terminal.end();
    expect(text).not.toContain("open");
    expect(text).toContain("exit 130");
    expect(text).toContain("modes icanon echo");
  }
  await using terminal = new TerminalRun(argv);
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
  await using terminal = new TerminalRun(argv);
  await terminal.shows(/It is ssh-ed25519 SHA256:/);
  await terminal.shows(/\(yes\/no\)/);
  terminal.type("no\r");
  const text = await terminal.end();
  expect(text).toContain("error[host-key.declined]");
  expect(text).toContain("exit 77");
  expect(await within(terminal.run.result, 5_000, "the end")).toMatchObject({ code: 0 });
});

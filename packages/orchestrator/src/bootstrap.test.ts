import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { bootstrap, markCommand, newNonce, shellCommand, shellMark } from "./bootstrap.ts";
import { LOADER } from "./loader.ts";

import { compressed, digest, type Run, useLogin } from "./testing/started-bootstrap.ts";

const login = useLogin();

const { run } = login;

describe("the command line", () => {
  const made = bootstrap({ compressed, digest });

  it("holds no character that a login shell reads inside single quotes", () => {
    const words = made.command.slice("exec /bin/sh -c ".length).split("' '");
    expect(words.length).toBe(10);
    expect(words.join("").replace(/^'|'$/g, "")).not.toMatch(/['\\!`\n]|[^ -~]/);
    expect(LOADER).not.toMatch(/['\\!`\n]|[^ -~]/);
  });

  it("does not hold the nonce in one piece, so that an echo of it is no preamble", () => {
    expect(made.command).not.toContain(made.nonce);
    expect(made.nonce).toMatch(/^[0-9a-f]{32}$/);
  });

  it("is refused where an argument could break out of its quotes", () => {
    for (const word of ["a'b", "a\\b", "a!b", "a\nb", "ü", "a`b"]) {
      expect(() => shellCommand(":", [word])).toThrow(/not safe/);
      expect(() => bootstrap({ compressed, digest, remoteNode: word })).toThrow(/--remote-node|not safe/);
    }
  });
});

const shells = ["/bin/bash", "/bin/dash", "/usr/bin/zsh", "/usr/bin/fish", "/usr/bin/tcsh", "/usr/bin/ksh"];

describe.each(shells.filter(existsSync))("as a command of the login shell %s", (shell) => {
  it("runs the bundle from stdin and leaves it the rest of stdin", async () => {
    const result = await run({ shell });
    expect(result.preamble).toBe("agent");
    const [line, rest] = result.stdout.slice(result.stdout.indexOf("{")).split("\n");
    expect(JSON.parse(line ?? "")).toEqual({ digest, argv: 3, run: result.nonce });
    expect([rest, result.stderr, result.status]).toEqual(["frames", "", 0]);
  });

  it("gives the bundle its argument and itself where there is one", async () => {
    const result = await run({ shell, argument: "6a6f62" });
    expect(JSON.parse(result.stdout.slice(result.stdout.indexOf("{")).split("\n")[0] ?? "")).toEqual({
      ...{ digest, argv: 4, run: result.nonce, argument: "6a6f62", passedOn: compressed.length },
    });
  });

  it("says so when there is no node", async () => {
    const result = await run({ shell, remoteNode: "/nonexistent/node" });
    expect([result.preamble, result.status]).toEqual(["no-node", 69]);
  });
});

/** Where each shell reads commands from even when it runs `-c`. */
const rcFiles: [shell: string, file: string, rc: string][] = [
  [
    "/bin/bash",
    ".bashrc",
    'echo "Welcome! $(date)"; printf "no newline"; read line; export NODE_OPTIONS=--no-such-option',
  ],
  [
    "/usr/bin/zsh",
    ".zshenv",
    "echo Welcome; printf 'no newline'; read line; export NODE_OPTIONS=--no-such-option",
  ],
  [
    "/usr/bin/fish",
    ".config/fish/config.fish",
    "echo Welcome; printf 'no newline'; read line; set -x NODE_OPTIONS --no-such-option",
  ],
  [
    "/usr/bin/tcsh",
    ".tcshrc",
    "echo Welcome; echo -n 'no newline'; set line = $<; setenv NODE_OPTIONS --no-such-option",
  ],
];

describe.each(rcFiles.filter(([shell]) => existsSync(shell)))("rc files of %s", (shell, file, rc) => {
  it("may print, read a line of stdin and set NODE_OPTIONS", async () => {
    await mkdir(dirname(join(login.home, file)), { recursive: true });
    await writeFile(join(login.home, file), `${rc}\n`);
    const result = await run({ shell });
    expect(result.stdout).toMatch(/^Welcome/);
    expect(result.stdout).toContain(`no newline${shellMark(result.nonce)}`);
    expect([result.preamble, result.status]).toEqual(["agent", 0]);
    expect(result.stdout).toMatch(/frames$/);
  });
});

describe.runIf(existsSync("/usr/bin/perl"))("the socket that asks whose connections are", () => {
  /** A runtime that says what it was started with and goes on as Node.js. */
  const spy = async () => {
    const path = join(login.home, "spy");
    const script = `case $1 in -v) ;; *)
      inode=$(readlink /proc/self/fd/$FARSIDE_SOCK_DIAG | tr -dc 0-9)
      echo "socket [$(awk -v i="$inode" '$10 == i { print $2 }' /proc/self/net/netlink)]"
      echo "environment [$(env | grep -c PERL)]" ;; esac
      exec ${process.execPath} "$@"\n`;
    await writeFile(path, `#!/bin/bash\n${script}`);
    await chmod(path, 0o755);
    return path;
  };

  it("is there for the agent to inherit, and nothing else is changed", async () => {
    const result = await run({ remoteNode: await spy(), environment: { LC_ALL: "no_such.locale" } });
    expect(result.stdout).toContain("socket [4]\nenvironment [0]\n");
    expect([result.preamble, result.stderr.includes("perl"), result.status]).toEqual(["agent", false, 0]);
  });

  it("is left out where perl would run code of the login's", async () => {
    const environment = { PERL5OPT: "-Mstrict" };
    const result = await run({ remoteNode: await spy(), environment });
    expect(result.stdout).toContain("socket []\nenvironment [1]\n");
    expect([result.preamble, result.status]).toEqual(["agent", 0]);
  });
});

describe("room for the threads of Node.js", () => {
  // root may have any number.
  const limited = (processes: number): Pick<Run, "shell" | "environment"> => ({
    shell: join(login.home, "shell"),
    environment: { LIMIT: String(processes) },
  });
  beforeEach(async () => {
    await chmod(login.home, 0o777);
    const drop = "setpriv --reuid=28571 --regid=28571 --clear-groups";
    const script = `#!/bin/bash\nulimit -u $LIMIT\nexec ${drop} -- /bin/sh "$@"\n`;
    await writeFile(join(login.home, "shell"), script, { mode: 0o755 });
  });

  it.runIf(process.getuid?.() === 0).each(["", "0f"])(
    "is looked for where a login may have few: Node.js would hang without a word (argument %j)",
    async (argument) => {
      const result = await run({ ...limited(4), argument, remoteNode: process.execPath });
      expect(result.preamble).toMatch(/^loader-failed:no room .*\(ulimit -u\)$/);
      expect(result.status).toBe(70);
    },
  );

  it.runIf(process.getuid?.() === 0)("is there where a login may have some more", async () => {
    const result = await run({ ...limited(30), remoteNode: process.execPath });
    expect([result.preamble, result.status]).toEqual(["agent", 0]);
  });
});

describe("the shell mark", () => {
  it("is the first thing that the command prints, before anything is looked for", async () => {
    const result = await run({ remoteNode: "/nonexistent/node" });
    expect(result.stdout).toBe(`${shellMark(result.nonce)}farside-preamble:${result.nonce}:no-node\n`);
  });

  it("is all that its own command prints, and not part of that command line", async () => {
    const nonce = newNonce();
    const command = markCommand(nonce);
    expect(command).not.toContain(nonce);
    const child = spawn("/bin/sh", ["-c", command], { stdio: ["ignore", "pipe", "ignore"] });
    const chunks: Buffer[] = [];
    for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toBe(shellMark(nonce));
  });
});

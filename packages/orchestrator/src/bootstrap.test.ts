import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bootstrap, markCommand, newNonce, shellCommand, shellMark } from "./bootstrap.ts";
import { LOADER } from "./loader.ts";

/** Says what it was given and what is left of stdin, which ends it. */
const FAKE_AGENT = `
const boot = globalThis[Symbol.for("farside.boot")];
process.stdout.write("farside-preamble:" + boot.nonce + ":agent\\n" + JSON.stringify({
  digest: boot.digest, argv: process.argv.length, run: process.env.FARSIDE_RUN, options: process.env.NODE_OPTIONS,
  argument: boot.argument, passedOn: boot.compressed?.length }) + "\\n");
process.stdin.on("data", (chunk) => process.stdout.write(chunk));
process.stdin.on("end", () => process.exit(0));
`;
const compressed = brotliCompressSync(FAKE_AGENT);
const digest = createHash("sha256").update(compressed).digest("hex");
const nodeFolder = dirname(process.execPath);

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "farside-bootstrap-"));
});
afterEach(async () => {
  await rm(home, { recursive: true, force: true });
});

interface Run {
  shell?: string;
  environment?: Record<string, string>;
  remoteNode?: string;
  argument?: string;
  upload?: (upload: Buffer) => Buffer;
  frames?: string;
}

/** Does what sshd does: `shell -c command`, with everything that follows written at once. */
async function run(options: Run = {}) {
  const { shell = "/bin/sh", environment = {}, upload = (bytes) => bytes, frames = "frames" } = options;
  const made = bootstrap({ compressed, digest, remoteNode: options.remoteNode, argument: options.argument });
  const path = `${nodeFolder}:/usr/bin:/bin`;
  const child = spawn(shell, ["-c", made.command], {
    env: { PATH: path, HOME: home, ...environment },
    cwd: home,
  });
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  child.stdout.on("data", (chunk) => chunks.stdout.push(chunk));
  child.stderr.on("data", (chunk) => chunks.stderr.push(chunk));
  child.stdin.on("error", () => {});
  child.stdin.end(Buffer.concat([upload(made.upload), Buffer.from(frames)]));
  const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
  const stdout = Buffer.concat(chunks.stdout).toString();
  const [, preamble] = new RegExp(`farside-preamble:${made.nonce}:([^\\n]*)\\n`).exec(stdout) ?? [];
  return { status, stdout, stderr: Buffer.concat(chunks.stderr).toString(), preamble, ...made };
}

async function fakeNode(path: string, version: string) {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `#!/bin/sh\necho ${version}\n`);
  await chmod(path, 0o755);
  return path;
}

/** A PATH without a node. The usual folders of this machine may still have one. */
const noNode = { PATH: "/nonexistent" };

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
    await mkdir(dirname(join(home, file)), { recursive: true });
    await writeFile(join(home, file), `${rc}\n`);
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
    const path = join(home, "spy");
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

describe("the search for a node", () => {
  it("reads the version of a wrapper that prints before it, and runs no BASH_ENV", async () => {
    await writeFile(join(home, "env.sh"), "echo from v8 BASH_ENV\n");
    const wrapper = await fakeNode(join(home, "wrapper/node"), "");
    await writeFile(
      wrapper,
      `#!/bin/bash\n[ "$1" = -v ] && echo "now using v22"\nexec ${process.execPath} "$@"\n`,
    );
    const result = await run({ remoteNode: wrapper, environment: { BASH_ENV: join(home, "env.sh") } });
    expect(result.preamble).toBe("agent");
    expect(result.stdout).not.toContain("BASH_ENV");
  });

  it("marks every process of it with the nonce", async () => {
    const teller = await fakeNode(join(home, "teller/node"), "");
    await writeFile(
      teller,
      `#!/bin/sh\n[ "$1" = -v ] && echo "$FARSIDE_RUN" > ${join(home, "told")}\necho v1.0.0\n`,
    );
    const { nonce } = await run({ remoteNode: teller });
    expect(await readFile(join(home, "told"), "utf8")).toBe(`${nonce}\n`);
  });

  it("goes on where the login's folder is gone", async () => {
    const gone = join(home, "gone");
    await mkdir(gone);
    const made = bootstrap({ compressed, digest, remoteNode: process.execPath });
    const child = spawn("/bin/sh", ["-c", `cd ${gone} && rmdir ${gone} && ${made.command}`], {
      env: { PATH: "/usr/bin:/bin", HOME: home },
    });
    child.stdin.end(made.upload);
    const chunks: Buffer[] = [];
    for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toContain(`farside-preamble:${made.nonce}:agent\n`);
  });

  it("takes a node on PATH that is new enough, without asking the others", async () => {
    const sentinel = join(home, "asked");
    const other = await fakeNode(join(home, ".nvm/versions/node/v99.0.0/bin/node"), "v99.0.0");
    await writeFile(other, `#!/bin/sh\ntouch ${sentinel}\necho v99.0.0\n`);
    expect((await run()).preamble).toBe("agent");
    expect(existsSync(sentinel)).toBe(false);
  });

  it.each([
    ".nvm/versions/node/v20.1.0/bin/node",
    ".local/share/fnm/node-versions/v20.1.0/installation/bin/node",
    ".volta/tools/image/node/20.1.0/bin/node",
    ".asdf/installs/nodejs/20.1.0/bin/node",
    ".local/share/mise/installs/node/20.1.0/bin/node",
    "n/bin/node",
    ".local/bin/node",
  ])("finds a real node in ~/%s", async (path) => {
    // Claims to be newer than any that this machine may have in its usual folders.
    const node = await fakeNode(join(home, path), "");
    await writeFile(
      node,
      `#!/bin/sh\n[ "$1" = -v ] && { echo v999.9.0; exit; }\nexec ${process.execPath} "$@"\n`,
    );
    const result = await run({ environment: noNode });
    expect(result.preamble).toBe("agent");
  });

  it("takes the newest by number, not by letter", async () => {
    for (const version of ["900.9.0", "1000.0.0", "900.10.1"]) {
      const path = await fakeNode(join(home, `.nvm/versions/node/v${version}/bin/node`), "");
      await writeFile(
        path,
        `#!/bin/sh\n[ "$1" = -v ] && { echo v${version}; exit; }\necho "became ${version}"\n`,
      );
    }
    expect((await run({ environment: noNode })).stdout).toMatch(/\nbecame 1000\.0\.0\n$/);
  });

  it("passes over what is broken, a folder, or says no version", async () => {
    await fakeNode(join(home, ".nvm/versions/node/v1/bin/node"), "hello");
    await mkdir(join(home, ".nvm/versions/node/v2/bin/node"), { recursive: true });
    await mkdir(join(home, ".nvm/versions/node/v3/bin"), { recursive: true });
    await symlink("/nonexistent", join(home, ".nvm/versions/node/v3/bin/node"));
    expect((await run({ environment: { PATH: `${nodeFolder}:/bin` } })).preamble).toBe("agent");
    const chosen = await run({ remoteNode: join(home, ".nvm/versions/node/v1/bin/node") });
    expect(chosen.preamble).toBe(`no-node:${join(home, ".nvm/versions/node/v1/bin/node")}`);
  });

  it("says which versions are too old, and where they are", async () => {
    const old = await fakeNode(join(home, "old/node"), "v16.20.2");
    const result = await run({ remoteNode: old });
    expect([result.preamble, result.status]).toEqual([`node-too-old:16.20.2=${old}`, 69]);
    const nearly = await fakeNode(join(home, "nearly/node"), "v18.17.9");
    expect((await run({ remoteNode: nearly })).preamble).toBe(`node-too-old:18.17.9=${nearly}`);
  });

  it("without one, reads away the bundle and what goes with it, byte by byte, and then does as it is ordered", async () => {
    // Were a byte of it left, it would stand before the order and be read as one.
    const opening = Buffer.from(`\ntouch ${join(home, "read")}\n`.repeat(2_000));
    const options = { compressed, digest, remoteNode: "/nonexistent/node", opening };
    const made = bootstrap({ ...options, withoutNode: "wait" });
    const child = spawn("/bin/sh", ["-c", made.command], { env: { PATH: "/usr/bin:/bin", HOME: home } });
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stdin.write(made.upload);
    child.stdin.end(`echo "ordered $nonce"; exit 7\n`);
    const status = await new Promise((resolve) => child.on("close", resolve));
    expect(Buffer.concat(chunks).toString()).toMatch(
      new RegExp(`farside-preamble:${made.nonce}:waiting:no-node\nordered ${made.nonce}\n$`),
    );
    expect([status, await readdir(home)]).toEqual([7, []]);
  });

  it("takes a chosen node from a path, below the home folder, or by name", async () => {
    await mkdir(join(home, "bin dir"));
    await symlink(process.execPath, join(home, "bin dir/node"));
    for (const remoteNode of [process.execPath, "~/bin dir/node", "node"]) {
      expect((await run({ remoteNode })).preamble).toBe("agent");
    }
  });
});

describe("the loader", () => {
  it("does not run a bundle that was altered on the way", async () => {
    const result = await run({
      upload: (bytes) => {
        const altered = Buffer.from(bytes);
        altered.writeUInt8(altered.readUInt8(altered.length - 1) ^ 1, altered.length - 1);
        return altered;
      },
    });
    expect([result.preamble, result.status]).toEqual(["digest-mismatch", 76]);
  });

  it("does not run another bundle that comes with its own digest", async () => {
    const other = bootstrap({ compressed: brotliCompressSync("evil"), digest: "0".repeat(64) });
    const result = await run({
      upload: (bytes) =>
        Buffer.concat([
          bytes.subarray(0, 64 + 15 + 32 + 1),
          Buffer.from(`${compressed.length} ${"0".repeat(64)}\n`),
          other.upload,
        ]),
    });
    expect(result.preamble).toBe("digest-mismatch");
  });

  it.each([
    ["stdin that ends early", (bytes: Buffer) => bytes.subarray(0, -1), "", /^loader-failed:stdin ended/],
    ["stdin without a marker", () => Buffer.alloc(70_000, "x"), "", /^loader-failed:no marker/],
    [
      "a false length",
      (bytes: Buffer) => Buffer.from(bytes.toString("latin1").replace(/ \d+ /, " 1e99 "), "latin1"),
      "",
      /^loader-failed:a false bundle length/,
    ],
  ])("reports %s", async (_, upload, frames, preamble) => {
    const result = await run({ upload, frames });
    expect(result.preamble).toMatch(preamble);
    expect(result.status).toBe(70);
  });

  it("leaves the agent what goes with its bundle", async () => {
    const made = bootstrap({ compressed, digest, opening: Buffer.from("opening ") });
    const child = spawn("/bin/sh", ["-c", made.command], {
      env: { PATH: `${nodeFolder}:/usr/bin:/bin`, HOME: home },
    });
    child.stdin.end(Buffer.concat([made.upload, Buffer.from("frames")]));
    const chunks: Buffer[] = [];
    for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toMatch(/\nopening frames$/);
  });

  it("writes nothing", async () => {
    expect((await run()).preamble).toBe("agent");
    expect(await readdir(home)).toEqual([]);
  });
});

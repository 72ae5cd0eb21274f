import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { afterEach, beforeEach } from "vitest";
import { bootstrap } from "../bootstrap.ts";

/** Says what it was given and what is left of stdin, which ends it. */
export const FAKE_AGENT = `
const boot = globalThis[Symbol.for("farside.boot")];
process.stdout.write("farside-preamble:" + boot.nonce + ":agent\\n" + JSON.stringify({
  digest: boot.digest, argv: process.argv.length, run: process.env.FARSIDE_RUN, options: process.env.NODE_OPTIONS,
  argument: boot.argument, passedOn: boot.compressed?.length }) + "\\n");
process.stdin.on("data", (chunk) => process.stdout.write(chunk));
process.stdin.on("end", () => process.exit(0));
`;
export const compressed = brotliCompressSync(FAKE_AGENT);
export const digest = createHash("sha256").update(compressed).digest("hex");
export const nodeFolder = dirname(process.execPath);

export interface Run {
  shell?: string;
  environment?: Record<string, string>;
  remoteNode?: string;
  argument?: string;
  upload?: (upload: Buffer) => Buffer;
  frames?: string;
}

/** A home for each test of a file, removed behind it. */
export function useLogin() {
  let home = "";
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "farside-bootstrap-"));
  });
  afterEach(async () => {
    await rm(home, { recursive: true, force: true });
  });
  return {
    get home() {
      return home;
    },
    run: (options: Run = {}) => runIn(home, options),
  };
}

/** Does what sshd does: `shell -c command`, with everything that follows written at once. */
async function runIn(home: string, options: Run) {
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

export async function fakeNode(path: string, version: string) {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `#!/bin/sh\necho ${version}\n`);
  await chmod(path, 0o755);
  return path;
}

/** A PATH without a node. The usual folders of this machine may still have one. */
export const noNode = { PATH: "/nonexistent" };

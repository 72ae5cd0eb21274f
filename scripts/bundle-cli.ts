/**
 * Makes the command line's bundle: all of farside's code for the workstation in one file, V8's compiled form of it, the
 * signer process, and the agent that is sent. packages/cli/dist/main.js runs it.
 */
import { copyFile, mkdir, rename, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import v8 from "node:v8";
import vm from "node:vm";
import { bundleNames } from "@farside/agent/bundle";
import { BUNDLE_FILE, CODE_CACHE_FILE, wrapped } from "@farside/cli/run-bundle";
import { type BuildOptions, build, type Metafile } from "esbuild";
import { withLateEmoji } from "./late-emoji.ts";
import { LEFT_OUT, withoutNativeModules, withoutUnusedModules } from "./left-out-modules.ts";

/** Oldest Node.js that runs the command line. */
const TARGET = "node20.19";
const AGENT_FILES = bundleNames.flatMap((name) => [`${name}.cjs`, `${name}.cjs.br`, `${name}.json`]);
const LINE_LIMIT = 160;

const root = fileURLToPath(new URL("../", import.meta.url));

/** Key files with a passphrase are read here, unlike on the jump host. */
const { "bcrypt-pbkdf": _, ...leftOut } = LEFT_OUT;

const common = {
  absWorkingDir: root,
  bundle: true,
  write: false,
  platform: "node",
  target: TARGET,
  conditions: ["@farside/source"],
  mainFields: ["module", "main"],
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: LINE_LIMIT,
  charset: "ascii",
  legalComments: "none",
  logLevel: "silent",
} as const satisfies BuildOptions;

export interface CommandLineBundleOptions {
  /** Where `bundleAgents` has put the agents. */
  readonly agentFolder: string;
  /** Where all of it goes; default: packages/cli/dist. */
  readonly folder?: string;
}

/** Bundles the command line into a folder, each file at once or not at all. */
export async function bundleCommandLine({
  agentFolder,
  folder = `${root}packages/cli/dist/`,
}: CommandLineBundleOptions): Promise<Metafile> {
  const main = await build({
    ...common,
    entryPoints: ["packages/cli/src/program.ts"],
    outfile: BUNDLE_FILE,
    metafile: true,
    format: "cjs",
    define: { "import.meta.url": "farsideModuleUrl" },
    banner: { js: 'const farsideModuleUrl = require("node:url").pathToFileURL(__filename).href;' },
    plugins: [withoutNativeModules, withoutUnusedModules(leftOut), withLateEmoji],
  });
  const signer = await build({
    ...common,
    entryPoints: ["packages/smartcard/src/signer-main.ts"],
    outfile: "signer-main.js",
    format: "esm",
    external: ["pkcs11js"],
  });
  const source = main.outputFiles[0]?.text ?? "";
  await mkdir(folder, { recursive: true });
  await Promise.all(
    AGENT_FILES.map((name) => atOnce(`${folder}${name}`, (path) => copyFile(`${agentFolder}${name}`, path))),
  );
  const write = (name: string, content: string | Buffer) =>
    atOnce(`${folder}${name}`, (path) => writeFile(path, content));
  await write("signer-main.js", signer.outputFiles[0]?.text ?? "");
  // Compiled for another text of the same length it would be taken for this one's.
  await write(CODE_CACHE_FILE, "");
  await write(BUNDLE_FILE, source);
  await write(CODE_CACHE_FILE, compile(wrapped(source)));
  return main.metafile;
}

/** Every function of `source` compiled, in the form of this very Node.js. */
function compile(source: string): Buffer {
  v8.setFlagsFromString("--no-lazy");
  const script = new vm.Script(source, { filename: BUNDLE_FILE });
  // The cache names the flags that it needs: the usual ones.
  v8.setFlagsFromString("--lazy");
  return script.createCachedData();
}

async function atOnce(path: string, write: (path: string) => Promise<void>): Promise<void> {
  const unfinished = `${path}.${process.pid}`;
  await write(unfinished);
  await rename(unfinished, path);
}

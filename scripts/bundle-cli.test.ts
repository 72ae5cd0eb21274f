import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { builtinModules } from "node:module";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { bundleNames } from "@farside/agent/bundle";
import { BUNDLE_FILE, CODE_CACHE_FILE, wrapped } from "@farside/cli/run-bundle";
import type { Metafile } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundleCommandLine } from "./bundle-cli.ts";
import { bundleForTest } from "./bundle-for-test.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const run = promisify(execFile);

let base: string;
let folder: string;
let metafile: Metafile;

/** As it is installed: dist below the package, which finds pkcs11js. */
beforeAll(async () => {
  base = await mkdtemp(path.join(os.tmpdir(), "farside-cli-"));
  folder = `${base}/dist/`;
  await mkdir(folder);
  await copyFile(`${root}packages/cli/package.json`, `${base}/package.json`);
  await symlink(`${root}node_modules`, `${base}/node_modules`);
  await Promise.all(bundleNames.map((name) => bundleForTest(folder, name)));
  metafile = await bundleCommandLine({ agentFolder: folder, folder });
});
afterAll(() => rm(base, { recursive: true, force: true }));

const farside = (...args: string[]) => run(process.execPath, [`${folder}${BUNDLE_FILE}`, ...args]);

describe("the command line's bundle", () => {
  test("runs from its one file", async () => {
    const { version } = JSON.parse(await readFile(`${base}/package.json`, "utf8")) as { version: string };
    expect((await farside("--version")).stdout.trim()).toBe(version);
    expect((await farside("forward", "--help")).stdout).toContain("--via");
  });

  test("finds its agent: a start fails at the jump host, not before", async () => {
    const key = `${base}/key`;
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
    const line = ["forward", "-p", "1", "nobody@127.0.0.1", "-L", "4444:localhost:4444", "--identity", key];
    const failed = await farside(...line, "--host-key-check", "accept-new").catch((error) => error);
    expect(failed.stderr).toContain("error[hop.unreachable]");
  });

  test("finds its signer process: a module that is none is told as such", async () => {
    const failed = await farside("card", "list", "--pkcs11-provider", `${base}/package.json`).catch(
      (error) => error,
    );
    expect(failed.stderr).toContain("error[card.module-not-found]");
  });

  test("requires nothing but what Node.js has built in", () => {
    const required = Object.values(metafile.outputs).flatMap(({ imports }) => imports);
    const foreign = required.filter(({ path: name }) => !builtinModules.includes(name.replace(/^node:/, "")));
    expect(required.length).toBeGreaterThan(10);
    expect(foreign).toEqual([]);
  });

  test("is compiled for this Node.js, by which its code cache is taken", async () => {
    const source = wrapped(await readFile(`${folder}${BUNDLE_FILE}`, "utf8"));
    await writeFile(`${base}/source`, source);
    // A process of its own: the flags of this one were others while it compiled.
    const look = `
      const [source, cachedData] = process.argv.slice(1).map((file) => require("fs").readFileSync(file));
      console.log(new (require("vm").Script)(source.toString(), { cachedData }).cachedDataRejected);`;
    const { stdout } = await run(process.execPath, [
      ...["-e", look, `${base}/source`, `${folder}${CODE_CACHE_FILE}`],
    ]);
    expect(stdout.trim()).toBe("false");
  });
});

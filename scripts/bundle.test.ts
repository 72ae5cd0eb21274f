import { mkdtemp, readFile, rm } from "node:fs/promises";
import { builtinModules } from "node:module";
import os from "node:os";
import path from "node:path";
import type { Metafile } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BundledAgent, bundleAgent } from "./bundle.ts";

/** It crosses the workstation's link at every start. */
const MAX_BYTES = 1_200_000;
const MAX_COMPRESSED_BYTES = 210_000;

/** Packages whose code may be in the agent, and why. */
const ALLOWED = new Set([
  "msgpackr", // frames
  "valibot", // messages
  "ssh2", // hops, with what it brings:
  "asn1",
  "bcrypt-pbkdf",
  "safer-buffer",
  "tweetnacl",
]);

let folder: string;
let bundled: BundledAgent;

beforeAll(async () => {
  folder = `${await mkdtemp(path.join(os.tmpdir(), "farside-bundle-"))}/`;
  bundled = await bundleAgent(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function output(): Metafile["outputs"][string] {
  const [only] = Object.values(bundled.metafile.outputs);
  if (only === undefined) throw new Error("no output");
  return only;
}

describe("the agent's bundle", () => {
  test("holds only what the agent needs", () => {
    const packages = new Set<string>();
    const own = new Set<string>();
    for (const [file, { bytesInOutput }] of Object.entries(output().inputs)) {
      if (bytesInOutput === 0 || file.startsWith("native:")) continue;
      const foreign = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1];
      if (foreign === undefined) own.add(file.split("/", 2).join("/"));
      else packages.add(foreign);
    }
    expect([...packages].filter((name) => !ALLOWED.has(name))).toEqual([]);
    expect([...own].sort()).toEqual(["packages/agent", "packages/protocol", "packages/ssh"]);
  });

  test("requires nothing but what Node.js has built in", () => {
    const required = output().imports.map((each) => each.path.replace(/^node:/, ""));
    const foreign = required.filter((name) => !builtinModules.includes(name));
    expect(required.length).toBeGreaterThan(5);
    expect(foreign).toEqual([]);
  });

  test("has no path in it that would load a file of the host", async () => {
    const text = await readFile(`${folder}agent.cjs`, "utf8");
    expect(text).not.toMatch(/require\(["'][^"']*\.node["']\)/);
    expect(text).not.toMatch(/require\(["']\.{0,2}\//);
    expect(text).not.toContain(os.homedir() === "/root" ? "/work/" : os.homedir());
  });

  test("is small enough to be sent at every start", () => {
    expect(bundled.manifest.bytes).toBeLessThan(MAX_BYTES);
    expect(bundled.manifest.compressedBytes).toBeLessThan(MAX_COMPRESSED_BYTES);
  });

  test("is the same, byte for byte, whoever makes it", async () => {
    const other = `${folder}other/`;
    const [one, two] = await Promise.all([bundleAgent(folder), bundleAgent(other)]);
    expect(two.manifest).toEqual(one.manifest);
    expect((await readFile(`${other}agent.cjs.br`)).equals(await readFile(`${folder}agent.cjs.br`))).toBe(
      true,
    );
  });
});

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { builtinModules } from "node:module";
import os from "node:os";
import path from "node:path";
import type { Metafile } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BundledAgent, bundleAgent, bundleAgents } from "./bundle.ts";
import { LEFT_OUT } from "./left-out-modules.ts";

/** It crosses the workstation's link at every start. */
const MAX_BYTES = 580_000;
const MAX_COMPRESSED_BYTES = 130_000;
/** Of a line, so that the place that a stack names can be looked at; esbuild breaks lines between statements only. */
const MAX_LINE = 4_000;

/** Packages whose code may be in the agent, and why. */
const ALLOWED = new Set([
  "msgpackr", // frames
  "valibot", // messages
  "ssh2", // hops, with what it brings:
  "asn1",
  "safer-buffer",
]);

/** What agents that stay may hold besides: their control socket's carrier, and their metrics' format with what it brings. */
const ALLOWED_RESIDENT = new Set([
  ...ALLOWED,
  "ws",
  "prom-client",
  "tdigest",
  "bintrees",
  "@opentelemetry/api",
]);
/** The bridge crosses the link at every re-attachment. */
const MAX_BRIDGE_BYTES = 12_000;

let folder: string;
let bundled: BundledAgent;
let all: Awaited<ReturnType<typeof bundleAgents>>;

beforeAll(async () => {
  folder = `${await mkdtemp(path.join(os.tmpdir(), "farside-bundle-"))}/`;
  all = await bundleAgents(folder);
  bundled = all.agent;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function output({ metafile }: BundledAgent = bundled): Metafile["outputs"][string] {
  const [only] = Object.values(metafile.outputs);
  if (only === undefined) throw new Error("no output");
  return only;
}

const isLeftOut = (file: string): boolean =>
  Object.keys(LEFT_OUT).some(
    (name) => file === `node_modules/${name}` || file === `node_modules/${name}/index.js`,
  );

/** The foreign packages in a bundle, and ours. */
function contents(of: BundledAgent): { packages: string[]; own: string[] } {
  const packages = new Set<string>();
  const own = new Set<string>();
  for (const [file, { bytesInOutput }] of Object.entries(output(of).inputs)) {
    if (bytesInOutput === 0 || file.startsWith("native:") || isLeftOut(file)) continue;
    const foreign = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1];
    if (foreign === undefined) own.add(file.split("/", 2).join("/"));
    else packages.add(foreign);
  }
  return { packages: [...packages].sort(), own: [...own].sort() };
}

function foreignRequires(of: BundledAgent): string[] {
  const required = output(of).imports.map((each) => each.path.replace(/^node:/, ""));
  return required.filter((name) => !builtinModules.includes(name));
}

describe.each(["resident-agent", "installed-agent"] as const)("the bundle %s", (name) => {
  test("holds ws and prom-client besides what every agent needs, and nothing native", () => {
    const { packages, own } = contents(all[name]);
    expect(packages).toEqual(expect.arrayContaining(["ws", "prom-client"]));
    expect(packages.filter((name) => !ALLOWED_RESIDENT.has(name))).toEqual([]);
    expect(own).toEqual(["packages/agent", "packages/protocol", "packages/ssh"]);
    expect(foreignRequires(all[name])).toEqual([]);
  });

  test("has no path in it that would load a file of the host", async () => {
    const text = await readFile(`${folder}${name}.cjs`, "utf8");
    expect(text).not.toMatch(/require\(["'](?:bufferutil|utf-8-validate|[^"']*\.node)["']\)/);
    expect(text).not.toMatch(/require\(["']\.{0,2}\//);
  });
});

describe("the bridge's bundle", () => {
  test("is next to nothing", () => {
    const bridge = all.bridge;
    expect(contents(bridge)).toEqual({ packages: [], own: ["packages/agent", "packages/protocol"] });
    expect(foreignRequires(bridge)).toEqual([]);
    expect(bridge.manifest.bytes).toBeLessThan(MAX_BRIDGE_BYTES);
  });
});

describe("the agent's bundle", () => {
  test("holds only what the agent needs", () => {
    const { packages, own } = contents(bundled);
    expect(packages.filter((name) => !ALLOWED.has(name))).toEqual([]);
    // It keeps no log on its host, has nothing that answers there, and shows nobody what to do.
    const files = Object.entries(output().inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
    expect(files.filter(([file]) => /\/src\/(?:audit|control)\/|\/remedies\.ts$/.test(file))).toEqual([]);
    expect(own).toEqual(["packages/agent", "packages/protocol", "packages/ssh"]);
  });

  test("has a stand-in, and no more, for each module that is left out", () => {
    const found = Object.entries(output().inputs).filter(([file]) => isLeftOut(file));
    // One that ssh2 has moved or no longer uses would else be missed silently.
    expect(found).toHaveLength(Object.keys(LEFT_OUT).length);
    for (const [, { bytesInOutput }] of found) expect(bytesInOutput).toBeLessThan(250);
  });

  test("has nothing of ssh2 that reads private keys, compresses or needs a native module; one with key files has", async () => {
    const has = async (name: string) => {
      const text = await readFile(`${folder}${name}.cjs`, "utf8");
      return [
        "BEGIN OPENSSH PRIVATE KEY",
        "ZlibPacketReader=class",
        "AESGCMCipherBinding=class",
        "AESGCMCipherNative=class",
      ].map((each) => text.includes(each));
    };
    expect(await has("agent")).toEqual([false, false, false, true]);
    expect(await has("installed-agent")).toEqual([true, true, true, true]);
  });

  test("can be read where a stack points to", async () => {
    const lines = (await readFile(`${folder}agent.cjs`, "utf8")).split("\n");
    const long = lines.filter((line) => line.length > MAX_LINE);
    // poly1305.js is one string: a WebAssembly module.
    expect(long.filter((line) => !line.includes("AGFzbQ"))).toEqual([]);
    expect(lines.some((line) => line.includes("connectHopThrough"))).toBe(true);
  });

  test("requires nothing but what Node.js has built in", () => {
    expect(output().imports.length).toBeGreaterThan(5);
    expect(foreignRequires(bundled)).toEqual([]);
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
    const again = await bundleAgent(other);
    expect(again.manifest).toEqual(bundled.manifest);
    expect((await readFile(`${other}agent.cjs.br`)).equals(await readFile(`${folder}agent.cjs.br`))).toBe(
      true,
    );
  });
});

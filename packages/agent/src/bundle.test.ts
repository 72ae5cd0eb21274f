import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { brotliDecompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { agentBundle } from "./bundle.ts";
import { buildBundle } from "./testing/build-bundle.ts";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

describe("the agent's bundle", () => {
  test("is read with the digest of what is sent, which unpacks to the file", async () => {
    await using built = await buildBundle();
    const bundle = agentBundle(built.folder);
    const file = await readFile(built.path);
    expect(bundle).toMatchObject({ path: built.path, bytes: file.length, fileDigest: sha256(file) });
    expect(bundle.digest).toBe(sha256(bundle.compressed));
    expect(brotliDecompressSync(bundle.compressed).equals(file)).toBe(true);
  });

  test("that is missing or damaged is an error that says what to run", async () => {
    await using built = await buildBundle();
    const failure = { code: "config.invalid", hint: "Run: npm run bundle" };
    expect(() => agentBundle("/no/such/folder/")).toThrow(expect.objectContaining(failure));
    await writeFile(`${built.path}.br`, "damaged");
    expect(() => agentBundle(built.folder)).toThrow(expect.objectContaining(failure));
  });
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AuditAnswer, type MadeUpAdvisory, MadeUpRegistry } from "./made-up-registry.ts";
import { type AuditResult, type NpmAuditOptions, npmAudit } from "./npm-audit.ts";

const checkout = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

test("npm audit finds nothing in this checkout", async (context) => {
  const result = await npmAudit({ folder: checkout });
  if (result.outcome === "no-answer") return context.skip(`the registry did not say: ${result.reason}`);
  expect(result).toEqual({ outcome: "clean" });
}, 90_000);

describe("an audit", () => {
  const advisory: MadeUpAdvisory = {
    id: 1,
    url: "https://github.com/advisories/GHSA-made-up",
    title: "says too much",
    severity: "high",
    vulnerable_versions: "<1.0.1",
  };
  let folder: string;

  /** Each against a registry of its own. */
  async function audit(
    answer: AuditAnswer,
    options: Partial<NpmAuditOptions> = {},
  ): Promise<{ result: AuditResult; asked: MadeUpRegistry["asked"] }> {
    await using registry = await MadeUpRegistry.open(answer);
    const environment = { ...process.env, npm_config_cache: join(folder, "cache") };
    const result = await npmAudit({ folder, registry: registry.url, environment, ...options });
    return { result, asked: registry.asked };
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "farside-npm-audit-"));
    const names = { dependencies: { shipped: "1.0.0" }, devDependencies: { tool: "1.0.0" } };
    const manifest = { name: "made-up", version: "1.0.0", ...names };
    const packages = {
      "": manifest,
      "node_modules/shipped": { version: "1.0.0" },
      "node_modules/tool": { version: "1.0.0", dev: true },
    };
    await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
    const lock = { ...manifest, lockfileVersion: 3, requires: true, packages };
    await writeFile(join(folder, "package-lock.json"), JSON.stringify(lock));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test.concurrent("is clean where the registry knows nothing against any package of the lock", async () => {
    const { result, asked } = await audit({});
    expect(result).toEqual({ outcome: "clean" });
    expect(asked).toEqual([{ shipped: ["1.0.0"], tool: ["1.0.0"] }]);
  });

  test.concurrent("names package, affected versions and advisory, and whether the product has it", async () => {
    // What an operator has set must not hide any.
    const set = { npm_config_offline: "true", npm_config_omit: "dev", npm_config_audit_level: "none" };
    const environment = { ...process.env, npm_config_cache: join(folder, "cache"), ...set };
    const { result } = await audit({ shipped: [advisory], tool: [advisory] }, { environment });
    const finding = {
      range: "<1.0.1",
      severity: "high",
      title: "says too much",
      url: "https://github.com/advisories/GHSA-made-up",
    };
    expect(result).toEqual({
      outcome: "found",
      findings: [
        { package: "shipped", ...finding, reaches: "product" },
        { package: "tool", ...finding, reaches: "development" },
      ],
    });
  });

  test.concurrent("is none where the registry has no audit", async () => {
    const { result, asked } = await audit(405);
    expect(result).toMatchObject({ outcome: "no-answer", reason: expect.stringContaining("405") });
    expect(asked).toHaveLength(1);
  });

  test.concurrent("is none where nobody listens", async () => {
    const registry = await MadeUpRegistry.open({});
    const { url } = registry;
    await registry[Symbol.asyncDispose]();
    const { result } = await audit({}, { registry: url });
    expect(result).toMatchObject({ outcome: "no-answer", reason: expect.stringContaining("ECONNREFUSED") });
  });

  test.concurrent("is none where the registry is silent, after the deadline", async () => {
    const { result } = await audit("silence", { deadlineMs: 3_000 });
    expect(result).toMatchObject({ outcome: "no-answer", reason: expect.stringMatching(/3000 ?ms/) });
  });

  test.concurrent("fails where npm itself fails", async () => {
    await expect(audit({}, { folder: tmpdir() })).rejects.toThrow("ENOLOCK");
  });
});

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly bin?: Readonly<Record<string, string>>;
}

const names = readdirSync(join(root, "packages"));

/** What `npm pack` would put into each package, without making it. */
let packed: Readonly<Record<string, readonly string[]>>;
beforeAll(() => {
  const workspaces = names.map((name) => `--workspace=packages/${name}`);
  const answer = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts", ...workspaces], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const packages = JSON.parse(answer) as { name: string; files: { path: string }[] }[];
  packed = Object.fromEntries(packages.map(({ name, files }) => [name, files.map(({ path }) => path)]));
});

/** Built JavaScript and its types, the command, and what npm always adds. */
const MAY_BE_THERE =
  /^(?:dist\/.+\.(?:js|cjs|d\.ts|json|br|cache)|bin\/[\w.-]+|package\.json|README\.md|LICENSE)$/;
const MAY_NOT = /\.test\.|\/testing\/|\.map$|\.env|\.pem$|\.key$|id_(?:rsa|ecdsa|ed25519)|\.tsbuildinfo/;

test.each(names)("the package of %s holds what it needs and nothing else", (name) => {
  const folder = join(root, "packages", name);
  const {
    exports,
    bin = {},
    ...manifest
  } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
  const files = packed[manifest.name] ?? [];
  expect(files).toContain("package.json");
  expect(files.filter((path) => !MAY_BE_THERE.test(path) || MAY_NOT.test(path))).toEqual([]);
  const wanted = [
    ...Object.values(exports).flatMap(({ types, default: file }) => [types, file]),
    ...Object.values(bin),
  ];
  const named = wanted.flatMap((path) => (path === undefined ? [] : [path.replace(/^\.\//, "")]));
  expect(named.length).toBeGreaterThan(0);
  // A checkout that was never built has no dist yet.
  const isBuilt = existsSync(join(folder, "dist", "index.js"));
  expect(named.filter((path) => isBuilt && !files.includes(path))).toEqual([]);
});

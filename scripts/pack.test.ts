import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

interface Manifest {
  readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly bin?: Readonly<Record<string, string>>;
}

/** What `npm pack` would put into the package, without making it. */
function packed(folder: string): string[] {
  const answer = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [{ files }] = JSON.parse(answer) as [{ files: { path: string }[] }];
  return files.map(({ path }) => path);
}

/** Built JavaScript and its types, the command, and what npm always adds. */
const MAY_BE_THERE =
  /^(?:dist\/.+\.(?:js|cjs|d\.ts|json|br|cache)|bin\/[\w.-]+|package\.json|README\.md|LICENSE)$/;
const MAY_NOT = /\.test\.|\/testing\/|\.map$|\.env|\.pem$|\.key$|id_(?:rsa|ecdsa|ed25519)|\.tsbuildinfo/;

test.each(readdirSync(join(root, "packages")))(
  "the package of %s holds what it needs and nothing else",
  (name) => {
    const folder = join(root, "packages", name);
    const files = packed(folder);
    expect(files.filter((path) => !MAY_BE_THERE.test(path) || MAY_NOT.test(path))).toEqual([]);
    const { exports, bin = {} } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
    const wanted = [
      ...Object.values(exports).flatMap(({ types, default: file }) => [types, file]),
      ...Object.values(bin),
    ];
    const named = wanted.flatMap((path) => (path === undefined ? [] : [path.replace(/^\.\//, "")]));
    expect(named.length).toBeGreaterThan(0);
    // A checkout that was never built has no dist yet.
    const isBuilt = existsSync(join(folder, "dist", "index.js"));
    expect(named.filter((path) => isBuilt && !files.includes(path))).toEqual([]);
  },
);

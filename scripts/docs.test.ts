import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (file: string) => readFileSync(join(root, file), "utf8");
const documents = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].concat(
  readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
);

const sourceNames = new Set(
  readdirSync(join(root, "packages")).flatMap((name) =>
    readdirSync(join(root, "packages", name, "src"), { recursive: true, encoding: "utf8" }).map((path) =>
      basename(path),
    ),
  ),
);

/** What stands in backticks and looks like a file of this checkout, with the folder that stood before it on its line. */
function namedPaths(text: string): { path: string; beside: string | undefined }[] {
  return text.split("\n").flatMap((line) => {
    let beside: string | undefined;
    return [...line.matchAll(/`([^`\s]+)(?:\s[^`]*)?`/g)].flatMap(([, token = ""]) => {
      const path = token.replace(/^\.\//, "");
      const isPath =
        /^(?:\.ci|agent|bench|cli|docs|orchestrator|packages|protocol|scripts|smartcard|ssh|test)\//.test(
          path,
        );
      if (isPath) beside = dirname(path);
      return isPath || /^[a-z0-9-]+\.(?:ts|md)$/.test(path) ? [{ path, beside }] : [];
    });
  });
}

/** A path counts from the root, a package's folder, or the folder that its line named before; a lone name from any folder. */
function isThere(path: string, beside: string | undefined): boolean {
  if (!path.includes("/") && beside === undefined) return sourceNames.has(path);
  return [path, join("packages", path), join(beside ?? "", path)].some((place) =>
    existsSync(join(root, place)),
  );
}

describe.each(documents)("%s", (document) => {
  const text = read(document);

  test("names no file that does not exist", () => {
    expect(namedPaths(text).filter(({ path, beside }) => !isThere(path, beside))).toEqual([]);
  });

  test("has no dead link", () => {
    const links = [...text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, link = ""]) => link);
    const files = links.filter((link) => !/^https?:/.test(link));
    expect(files.filter((link) => !existsSync(join(root, dirname(document), link)))).toEqual([]);
  });

  test("names no command of npm that does not exist", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: object };
    const commands = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, command = ""]) => command);
    expect(commands.filter((command) => !Object.hasOwn(scripts, command))).toEqual([]);
  });
});

test("a file that is gone would be found", () => {
  const paths = namedPaths(
    "`packages/agent/src/lifetime.ts`, `gone.ts`; `./scripts/demo`, `@farside/ssh`, `/proc/1/stat`",
  );
  expect(paths.map(({ path, beside }) => [path, isThere(path, beside)])).toEqual([
    ["packages/agent/src/lifetime.ts", true],
    ["gone.ts", false],
    ["scripts/demo", true],
  ]);
});

test("docs/dependencies.md has a line for every dependency, and no other", () => {
  const manifests = [
    ...["package.json", "bench/package.json", "test/package.json"],
    ...readdirSync(join(root, "packages")).map((name) => `packages/${name}/package.json`),
  ];
  const used = manifests.flatMap((file) => {
    const { dependencies = {}, devDependencies = {} } = JSON.parse(read(file)) as Record<string, object>;
    return [...Object.keys(dependencies), ...Object.keys(devDependencies)];
  });
  const wanted = used.filter((name) => !/^@(?:farside|types)\//.test(name));
  const listed = [...read("docs/dependencies.md").matchAll(/^\| (@?[a-z][\w/@-]*) \|/gm)].map(
    ([, name]) => name,
  );
  expect(listed.filter((name) => name !== "package").sort()).toEqual([...new Set(wanted)].sort());
  const typed = /^\| @types\/\* \| types of (.*) \|$/m
    .exec(read("docs/dependencies.md"))?.[1]
    ?.split(/, | and /);
  const types = used.flatMap((name) => /^@types\/(.+)$/.exec(name)?.[1] ?? []);
  expect(typed?.sort()).toEqual([...new Set(types)].sort());
});

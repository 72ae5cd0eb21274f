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
      if (isPath) beside = /\.\w+$/.test(path) ? dirname(path) : path;
      return isPath || /^[a-z0-9-]+\.(?:ts|md)$/.test(path) ? [{ path, beside }] : [];
    });
  });
}

/** A path counts from the root, a package's folder, or the folder that its line named before; a lone name from any folder. */
function isThere(path: string, beside: string | undefined): boolean {
  if (!path.includes("/") && beside === undefined) return sourceNames.has(path);
  const besides = join(beside ?? "", path);
  return [path, join("packages", path), besides, join("packages", besides)].some((place) =>
    existsSync(join(root, place)),
  );
}

/** As GitHub names them in links. */
function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replaceAll(" ", "-"),
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

  test("has no link to a heading that is not there", () => {
    const links = [...text.matchAll(/\]\(([^)#\s]*)#([^)]+)\)/g)].filter(
      ([, file = ""]) => !/^https?:/.test(file),
    );
    const dead = links.filter(
      ([, file = "", heading = ""]) =>
        !headingsOf(file === "" ? text : read(join(dirname(document), file))).includes(heading),
    );
    expect(dead.map(([link]) => link)).toEqual([]);
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

test("ARCHITECTURE.md's map has every folder of the packages, and no other", () => {
  const there = readdirSync(join(root, "packages")).flatMap((name) => {
    const folders = readdirSync(join(root, "packages", name, "src"), { withFileTypes: true });
    return folders.flatMap((each) =>
      each.isDirectory() && each.name !== "testing" ? [`${name}/src/${each.name}`] : [],
    );
  });
  const rows = [...read("ARCHITECTURE.md").matchAll(/^\| (`[a-z]+\/src[`/][^|]*) \|/gm)].map(
    ([, cell = ""]) => cell,
  );
  const named = rows.flatMap((cell) => {
    const [first = "", ...others] = [...cell.matchAll(/`([^`]+)`/g)].map(([, folder = ""]) => folder);
    return [first, ...others.map((other) => `${dirname(first)}/${other}`)];
  });
  const packages = readdirSync(join(root, "packages")).map((name) => `${name}/src`);
  expect(named.sort()).toEqual([...there, ...packages].sort());
});

test("README leads to every page of docs", () => {
  const linked = [...read("README.md").matchAll(/\]\((docs\/[\w-]+\.md)/g)].map(([, page]) => page);
  const pages = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"));
  const others = pages.map((name) => `docs/${name}`).filter((page) => !linked.includes(page));
  expect(others).toEqual([]);
});

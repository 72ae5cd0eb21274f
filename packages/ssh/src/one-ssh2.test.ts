import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "ssh2";
import { expect, test } from "vitest";
import { internalsOf } from "./ssh2-internals.ts";

const packages = join(dirname(fileURLToPath(import.meta.url)), "../../..", "packages");

const isProduct = (file: string) => /(?<!\.test)\.ts$/u.test(file) && !/(?:^|\/)testing\//u.test(file);

test("no other package uses ssh2, and only login.ts makes a client", async () => {
  const offenders: string[] = [];
  const makers: string[] = [];
  let read = 0;
  for (const name of await readdir(packages)) {
    const files = await readdir(join(packages, name, "src"), { recursive: true }).catch(() => []);
    for (const file of files.filter(isProduct)) {
      const text = await readFile(join(packages, name, "src", file), "utf8");
      read += 1;
      if (/new (?:ssh2\.)?Client\(/u.test(text)) makers.push(`${name}/${file}`);
      if (name !== "ssh" && /(?:from|import\(|require\()\s*["']ssh2["']/u.test(text))
        offenders.push(`${name}/${file}`);
    }
  }
  expect(read).toBeGreaterThan(50);
  expect(offenders).toEqual([]);
  expect(makers).toEqual(["ssh/login.ts"]);
});

test("a client without the internals that farside builds on is refused as a bug", () => {
  expect(() => internalsOf(new Client())).toThrow("ssh2 is not the version");
});

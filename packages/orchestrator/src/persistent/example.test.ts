import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { forwardsFile } from "./forwards-file.ts";
import { readForwardsFile } from "./read-forwards-file.ts";

const page = readFileSync(new URL("../../../../docs/installed-agents.md", import.meta.url), "utf8");

test("the forwards.yaml of docs/installed-agents.md is one", () => {
  const [, text = ""] = /```yaml\n(.*?)```/s.exec(page) ?? [];
  expect(readForwardsFile(text, "docs/installed-agents.md").forwards.map(({ id }) => id)).toEqual([
    "sign",
    "timestamps",
    "vault",
  ]);
});

test("docs/installed-agents.md has a row for every key", () => {
  const keys = [...page.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`(?:forwards\[\]\.)?([a-z-]+)`/g)].map(([, key]) => key),
  );
  const { name: _, forwards, ...top } = forwardsFile.entries;
  const own = Object.keys(forwards.pipe[0].item.entries);
  const wanted = new Set(["name", ...Object.keys(top), ...own]);
  expect(keys.sort()).toEqual([...wanted].sort());
});

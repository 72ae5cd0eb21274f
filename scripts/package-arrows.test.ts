import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { findImports, wrongArrows } from "./package-arrows.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

test("arrows between packages point one way only", () => {
  const imports = findImports(root);
  expect(imports.some(({ specifier }) => specifier === "@farside/protocol")).toBe(true);
  expect(wrongArrows(imports)).toEqual([]);
});

test("an arrow upwards, a shortcut and a stolen dependency are each found", () => {
  const found = wrongArrows([
    { file: "packages/protocol/src/a.ts", from: "protocol", specifier: "@farside/ssh" },
    { file: "packages/orchestrator/src/a.ts", from: "orchestrator", specifier: "@farside/agent" },
    { file: "packages/agent/src/a.ts", from: "agent", specifier: "../../ssh/src/hop.ts" },
    { file: "packages/cli/src/a.ts", from: "cli", specifier: "ssh2" },
    { file: "packages/cli/src/a.ts", from: "cli", specifier: "@farside/orchestrator" },
    { file: "packages/cli/src/b/a.ts", from: "cli", specifier: "../c.ts" },
  ]);
  expect(found).toHaveLength(4);
});

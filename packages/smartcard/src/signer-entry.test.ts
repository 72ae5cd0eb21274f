import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { defaultSignerEntry } from "./signer-entry.ts";

it("is the file beside the code: TypeScript through tsx from source, JavaScript from dist and from a bundle", () => {
  const entry = defaultSignerEntry();
  expect(entry.at(-1)).toMatch(/smartcard\/src\/signer-main\.ts$/);
  expect(existsSync(String(entry.at(-1)))).toBe(true);
  expect(entry.slice(0, 1)).toEqual(["--import"]);
  expect(defaultSignerEntry("file:///opt/farside/farside.js")).toEqual(["/opt/farside/signer-main.js"]);
});

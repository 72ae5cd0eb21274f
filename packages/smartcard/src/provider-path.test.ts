import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { findProvider, resolveProviderPath, usualProviderPaths } from "./provider-path.ts";

const here = fileURLToPath(import.meta.url);

describe("resolveProviderPath", () => {
  it("takes the path that was given, and the first usual one that is there otherwise", () => {
    expect(resolveProviderPath(here)).toBe(here);
    expect(resolveProviderPath(undefined, ["/nonexistent/a.so", here, "/"])).toBe(here);
    expect(findProvider(["/nonexistent/a.so"])).toBeUndefined();
  });

  it("rejects what is not there, with a hint", () => {
    const failure = { code: "card.module-not-found", leg: "card", hint: expect.any(String) };
    expect(() => resolveProviderPath("/nonexistent/a.so")).toThrow(expect.objectContaining(failure));
    expect(() => resolveProviderPath("opensc-pkcs11.so")).toThrow(/not absolute/);
    expect(() => resolveProviderPath(undefined, [])).toThrow(expect.objectContaining(failure));
  });

  it("knows OpenSC's places on Debian, Fedora and macOS", () => {
    expect(usualProviderPaths("linux", "x64")).toEqual(
      expect.arrayContaining(["/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so", "/usr/lib64/opensc-pkcs11.so"]),
    );
    expect(usualProviderPaths("linux", "arm64")[0]).toBe("/usr/lib/aarch64-linux-gnu/opensc-pkcs11.so");
    expect(usualProviderPaths("darwin", "arm64")).toContain("/opt/homebrew/lib/opensc-pkcs11.so");
  });
});

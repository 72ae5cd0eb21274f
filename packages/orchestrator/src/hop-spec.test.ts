import { isCodedError } from "@farside/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatHopSpec, parseHopList, parseHopSpec } from "./hop-spec.ts";

const hop = (user: string | undefined, host: string, port?: number) => ({ user, host, port });

describe("parseHopSpec", () => {
  it.each([
    ["build", hop(undefined, "build")],
    ["builder@172.16.16.158", hop("builder", "172.16.16.158")],
    ["builder@build:2222", hop("builder", "build", 2222)],
    ["a@corp@build", hop("a@corp", "build")],
    ["root@[::1]:22", hop("root", "::1", 22)],
    ["root@[fe80::1%eth0]", hop("root", "fe80::1%eth0")],
    ["::1", hop(undefined, "::1")],
    ["ssh://u%40d@build:22", hop("u@d", "build", 22)],
    ["ssh://build/", hop(undefined, "build")],
  ])("reads %s", (text, expected) => {
    expect(parseHopSpec(text, "--via")).toEqual(expected);
  });

  it.each([
    ["", /it is empty/],
    ["a b", /space or a control character/],
    ["@build", /user name is empty/],
    ["-oProxyCommand=x@build", /user name holds/],
    ["a;b@build", /user name holds/],
    ["-J", /is not a host name/],
    ["build:", /the port is not a number/],
    ["build:0", /the port is not a number/],
    ["build:70000", /the port is not a number/],
    ["build:22:22", /too many colons/],
    ["[build]:22", /not an IP address/],
    ["[::1", /is not a host name|too many colons/],
    [":22", /the host is missing/],
    ["ssh://%zz@build", /false percent sign/],
    ["ssh://ssh://u@build", /user name holds/],
  ])("refuses %j and says why", (text, why) => {
    expect(() => parseHopSpec(text, "--via")).toThrow(why);
  });
});

describe("parseHopList", () => {
  it("reads comma lists in the order of the way", () => {
    expect(parseHopList("a@b:1,c", "--via")).toEqual([hop("a", "b", 1), hop(undefined, "c")]);
    expect(parseHopList(["a", "b,c"], "--via").map((entry) => entry.host)).toEqual(["a", "b", "c"]);
    expect(parseHopList([], "--via")).toEqual([]);
  });

  it("refuses an empty item and a route that is too long", () => {
    expect(() => parseHopList("a,,b", "--via")).toThrow(/it is empty/);
    expect(() => parseHopList(Array(9).fill("a"), "--via")).toThrow(/at most 8/);
  });
});

describe("formatHopSpec", () => {
  it("prints what was written", () => {
    expect(["u@h:1", "h", "u@[::1]:22"].map((text) => formatHopSpec(parseHopSpec(text, "x")))).toEqual([
      "u@h:1",
      "h",
      "u@[::1]:22",
    ]);
  });
});

describe("any text for a hop", () => {
  const user = fc.constantFrom("u", "a@corp", "u%40d", "-u", "$(x)", "u;v", "\u00fc", "", "u\u001b");
  const host = fc.constantFrom(
    "build",
    "172.16.16.158",
    "[::1]",
    "::1",
    "[fe80::1%eth0]",
    "-h",
    "h h",
    "",
    "h:",
    "[h]",
  );
  const port = fc.constantFrom("22", "0", "65535", "65536", "022", "x", "");
  const near = fc
    .tuple(fc.constantFrom("", "", "ssh://"), fc.option(user), host, fc.option(port))
    .map(
      ([scheme, who, name, at]) =>
        `${scheme}${who === null ? "" : `${who}@`}${name}${at === null ? "" : `:${at}`}`,
    );
  const text = fc.oneof({ weight: 3, arbitrary: near }, fc.string({ unit: "binary", maxLength: 30 }));

  it("is a hop that reads back as it is shown and can be no option and no shell's word, or usage.invalid", () => {
    let good = 0;
    fc.assert(
      fc.property(text, (written) => {
        try {
          const spec = parseHopSpec(written, "--via");
          good += 1;
          expect(`${spec.user ?? "u"}${spec.host}`).not.toMatch(/['"`$\\;&<>|(){}\s\p{Cc}]/u);
          expect(spec.user ?? "u").not.toMatch(/^-/);
          expect(spec.host).not.toMatch(/^-|^$/);
          expect(spec.port ?? 1).toSatisfy(
            (number: number) => Number.isInteger(number) && number > 0 && number < 65_536,
          );
          expect(parseHopSpec(formatHopSpec(spec), "--via")).toEqual(spec);
        } catch (error) {
          if (!isCodedError(error)) throw error;
          expect(error.code).toBe("usage.invalid");
          expect(error.message).not.toMatch(/\p{Cc}/u);
        }
      }),
      { numRuns: 5_000 },
    );
    expect(good).toBeGreaterThan(100);
  });
});

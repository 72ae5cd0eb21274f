import { describe, expect, it } from "vitest";
import { parseFacts, whyUnfit } from "./runtime-facts.ts";

const facts = (more: string) =>
  parseFacts(`os=Linux;machine=x86_64;libc=glibc;version=2.36;cxx=yes;unpack=gzip;proc=yes;kept=;${more}`);
const needs = { machine: "x86_64", libc: "glibc", minLibc: "2.28" } as const;

describe("whether a Node.js can be sent to a host", () => {
  it.each([
    ["", undefined],
    ["version=2.28", undefined],
    ["version=2.100", undefined],
    ["version=", undefined],
    ["version=2.17", "its glibc is 2.17, and the Node.js needs 2.28"],
    ["version=1.99", "its glibc is 1.99, and the Node.js needs 2.28"],
    ["libc=musl;version=1.2.3", "its C library is musl, and the Node.js needs glibc"],
    ["libc=;version=", "it has no glibc"],
    ["os=FreeBSD", "it is not Linux"],
    ["cxx=no", "it has no libstdc++.so.6"],
    ["proc=no", "it has no /proc"],
  ])("%s: %s", (more, why) => {
    expect(whyUnfit(facts(more), needs)).toBe(why);
  });

  it("where there is none for its machine", () => {
    expect(whyUnfit(facts("machine=riscv64"), undefined)).toContain("riscv64");
    expect(whyUnfit(facts("machine=aarch64"), needs)).toContain("x86_64");
  });

  it("takes nothing from the host into an order but a plain path", () => {
    expect(facts("kept=/home/a/.cache/x/node-00").kept).toBe("/home/a/.cache/x/node-00");
    for (const kept of ["/tmp/$(id)", "/tmp/a b", "/tmp/a'b", "node", "/tmp/a\\x0ab"])
      expect(facts(`kept=${kept}`).kept).toBeUndefined();
  });
});

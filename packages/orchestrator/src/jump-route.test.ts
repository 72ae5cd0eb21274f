import type { HostConfig, resolveHost } from "@farside/ssh";
import { describe, expect, it } from "vitest";
import { parseHopList, parseHopSpec } from "./hop-spec.ts";
import { type ResolveJumpOptions, resolveJumpRoute } from "./jump-route.ts";

/** ssh_config as a table of ProxyJumps. */
function resolver(jumps: Record<string, string[]>) {
  const asked: unknown[] = [];
  const resolve: typeof resolveHost = async (alias, { user, port, overrides } = {}) => {
    asked.push([alias, overrides]);
    return {
      alias,
      hostName: alias,
      user: user ?? "me",
      port: port ?? 22,
      proxyJump: jumps[alias] ?? [],
    } as unknown as HostConfig;
  };
  return { asked, resolve };
}

async function way(
  jump: string,
  jumps: string[],
  config: Record<string, string[]>,
  more: Partial<ResolveJumpOptions> = {},
) {
  const { resolve } = resolver(config);
  const options = { jump: parseHopSpec(jump, "x"), jumps: parseHopList(jumps, "-J"), resolve, ...more };
  return (await resolveJumpRoute(options)).map(({ user, hostName, port }) => `${user}@${hostName}:${port}`);
}

describe("the way to the jump host", () => {
  it("is the host alone without -J and ProxyJump", async () => {
    expect(await way("build", [], {})).toEqual(["me@build:22"]);
  });

  it("follows ProxyJump, nearest first, also that of the nearest", async () => {
    const config = { build: ["a@one:1", "two"], one: ["zero"], two: ["ignored"] };
    expect(await way("build", [], config)).toEqual(["me@zero:22", "a@one:1", "me@two:22", "me@build:22"]);
  });

  it("follows -J instead of ProxyJump", async () => {
    const config = { build: ["other"], one: ["zero"] };
    expect(await way("u@build:2", ["one", "two"], config)).toEqual([
      "me@zero:22",
      "me@one:22",
      "me@two:22",
      "u@build:2",
    ]);
  });

  it("gives -o options to the jump host alone", async () => {
    const { asked, resolve } = resolver({});
    const jumps = parseHopList("one", "-J");
    await resolveJumpRoute({ jump: parseHopSpec("build", "x"), jumps, overrides: { Port: "1" }, resolve });
    expect(asked).toEqual([
      ["build", { Port: "1" }],
      ["one", undefined],
    ]);
  });

  it("must not lead in a circle, nor be too long", async () => {
    await expect(way("a", [], { a: ["b"], b: ["a"] })).rejects.toMatchObject({ code: "config.invalid" });
    await expect(
      way("a", [], {
        a: Array(9)
          .fill("x")
          .map((x, n) => x + n),
      }),
    ).rejects.toThrow(/at most 8/);
  });
});

import { describe, expect, it } from "vitest";
import { chooseRuntime, type RuntimeWish } from "./runtime-choice.ts";

describe("what is sent to a host without a Node.js", () => {
  it.each<[RuntimeWish, object | undefined]>([
    [{}, { mode: "auto", keep: false, file: undefined }],
    [{ runtime: "never" }, undefined],
    [
      { runtime: "upload", keepRuntime: true },
      { mode: "upload", keep: true },
    ],
    [{ runtimeFile: "/opt/node" }, { mode: "auto", file: "/opt/node" }],
    // Whoever names one wants that one.
    [{ remoteNode: "/opt/node" }, undefined],
    [
      { reattach: true, keepRuntime: true },
      { mode: "auto", keep: true },
    ],
  ])("%j", (wish, choice) => {
    const chosen = chooseRuntime(wish);
    if (choice === undefined) expect(chosen).toBeUndefined();
    else expect(chosen).toMatchObject(choice);
  });

  it.each<RuntimeWish>([
    { runtime: "never", keepRuntime: true },
    { runtime: "never", runtimeFile: "/opt/node" },
    { runtime: "upload", remoteNode: "/opt/node" },
    { runtime: "upload", detach: true },
    { runtime: "upload", reattach: true },
  ])("%j does not go together", (wish) => {
    expect(() => chooseRuntime(wish)).toThrow(/do not go together/);
  });

  it("is nothing for an agent that outlives its connection, unless it is kept", async () => {
    const chosen = chooseRuntime({ reattach: true });
    expect(await chosen?.ask?.({} as never, new AbortController().signal)).toBe(false);
  });
});

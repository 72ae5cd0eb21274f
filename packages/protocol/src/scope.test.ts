import { describe, expect, test } from "vitest";
import { Scope } from "./scope.ts";

function resource(name: string, closed: string[]): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => {
      closed.push(name);
    },
  };
}

describe("Scope", () => {
  test("closes what it owns when it is left, newest first, each after the one before", async () => {
    const closed: string[] = [];
    {
      await using scope = new Scope();
      scope.use(resource("hop", closed));
      scope.defer(async () => {
        await new Promise((resolve) => setImmediate(resolve));
        closed.push("agent");
      });
      scope.use({ [Symbol.dispose]: () => void closed.push("timer") });
      expect(closed).toEqual([]);
    }
    expect(closed).toEqual(["timer", "agent", "hop"]);
  });

  test("runs every step and rejects with the one failure, or with all of them", async () => {
    const closed: string[] = [];
    const fail = (name: string) => () => {
      throw new Error(name);
    };
    const one = new Scope();
    one.use(resource("first", closed));
    one.defer(fail("one"));
    await expect(one.close()).rejects.toThrow("one");
    expect(closed).toEqual(["first"]);

    const two = new Scope();
    two.defer(fail("a"));
    two.defer(fail("b"));
    await expect(two.close()).rejects.toMatchObject({ errors: [new Error("b"), new Error("a")] });
  });

  test("closes once, whoever asks and however often", async () => {
    const closed: string[] = [];
    const scope = new Scope();
    scope.use(resource("hop", closed));
    const first = scope.close();
    expect(scope.close()).toBe(first);
    await scope[Symbol.asyncDispose]();
    expect(closed).toEqual(["hop"]);
    expect(scope.isClosed).toBe(true);
  });

  test("closes at once what is given to it too late", async () => {
    const closed: string[] = [];
    const scope = new Scope();
    await scope.close();
    expect(() => scope.use(resource("late", closed))).toThrow("closed");
    expect(closed).toEqual(["late"]);
  });

  test("hands everything over", async () => {
    const closed: string[] = [];
    const scope = new Scope();
    scope.use(resource("hop", closed));
    const heir = scope.move();
    await scope.close();
    expect(closed).toEqual([]);
    expect(() => scope.move()).toThrow("closed");
    await heir.close();
    expect(closed).toEqual(["hop"]);
  });
});

import type { Installation } from "@farside/protocol";
import { expect, test } from "vitest";
import { soleAgent } from "./sole-agent.ts";

const look = (...names: string[]) => ({ installed: names.map((name) => ({ name }) as Installation) });

test("where no name is given, the only agent is meant, whatever its name", () => {
  expect(soleAgent(look("signing"), "b@build")).toBe("signing");
});

test("of several, the one with the default name, else they are named", () => {
  expect(soleAgent(look("signing", "agent"), "b@build")).toBe("agent");
  expect(() => soleAgent(look("signing", "stamps"), "b@build")).toThrow(
    /looking for the agent agent on b@build/,
  );
  expect(() => soleAgent(look(), "b@build")).toThrow(/none is installed/);
});

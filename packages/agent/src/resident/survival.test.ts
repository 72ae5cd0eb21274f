import { describe, expect, test } from "vitest";
import { decideSurvival, readKillUserProcesses, readSurvivalFacts, type SurvivalFacts } from "./survival.ts";

const builder = { user: "builder", uid: 1500 };
const facts = (changes: Partial<SurvivalFacts> = {}): SurvivalFacts => ({
  ...builder,
  ...{ isInLoginSession: true, killsUserProcesses: true, isLingering: true, hasUserManager: true },
  ...changes,
});

describe("whether an agent outlives its login", () => {
  test.each([
    [
      "without logind a session of its own is enough",
      facts({ isInLoginSession: false, isLingering: false }),
      "detached",
    ],
    [
      "it is where logind lets processes be",
      facts({ killsUserProcesses: false, isLingering: false }),
      "detached",
    ],
    ["where logind ends them, the user's manager has it", facts(), "scope"],
    ["and where logind does not say", facts({ killsUserProcesses: undefined }), "scope"],
  ] as const)("%s", (_what, given, expected) => {
    expect(decideSurvival(given)).toBe(expected);
  });

  test("an error says what to turn on", () => {
    const failure = (changes: Partial<SurvivalFacts>) => {
      try {
        return decideSurvival(facts(changes));
      } catch (error) {
        return error;
      }
    };
    expect(failure({ isLingering: false })).toMatchObject({
      code: "agent.would-not-survive",
      leg: "jump",
      message: expect.stringContaining("KillUserProcesses=yes"),
      hint: expect.stringContaining("loginctl enable-linger builder"),
    });
    expect(failure({ hasUserManager: false })).toMatchObject({
      hint: expect.stringContaining("systemctl --user"),
    });
    expect(failure({ isLingering: false, killsUserProcesses: undefined })).toMatchObject({
      message: expect.stringContaining("can't be asked"),
    });
  });

  test.each([
    ['b true\nas 0\nas 1 "root"\n', true],
    ["b false\nas 0\nas 0\n", false],
    ['b true\nas 0\nas 2 "root" "builder"\n', false],
    ['b true\nas 0\nas 1 "1500"\n', false],
    ['b true\nas 1 "eve"\nas 0\n', false],
    ['b true\nas 1 "builder"\nas 0\n', true],
    ["", undefined],
    ["Failed to get property", undefined],
  ])("busctl's %j means %s", (text, expected) => {
    expect(readKillUserProcesses(text, builder)).toBe(expected);
  });

  test("this host can be asked", async () => {
    expect(decideSurvival({ ...(await readSurvivalFacts(builder)), killsUserProcesses: false })).toBe(
      "detached",
    );
  });
});

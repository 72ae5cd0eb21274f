import { describe, expect, it, vi } from "vitest";
import { enterPin, type PinEntry, pinState } from "./pin.ts";
import { ckr, tokenFlag } from "./pkcs11.ts";
import { ModuleFailure } from "./pkcs11-error.ts";
import { type ScriptedPinSource, scriptedPinSource } from "./testing/scripted-pin-source.ts";
import { tokenFacts } from "./testing/token-facts.ts";

const failing = (code: number) => async (): Promise<never> => {
  throw new ModuleFailure({ code, message: "CKR_X", method: "C_Login" });
};

function entry(source: ScriptedPinSource, more: Partial<PinEntry<string>> = {}): PinEntry<string> {
  return {
    token: tokenFacts(),
    reason: "first",
    source,
    usePinPad: false,
    use: async () => "used",
    triesLeft: async () => undefined,
    ...more,
  };
}

describe("enterPin", () => {
  it("gives the PIN to the card once", async () => {
    const use = vi.fn(async (pin: string) => pin);
    const source = scriptedPinSource(["1234"]);
    expect(await enterPin(entry(source, { use, reason: "card-reinserted" }))).toBe("1234");
    expect(use).toHaveBeenCalledOnce();
    expect(source.asked).toMatchObject([{ token: "token", reason: "card-reinserted", lastTry: false }]);
  });

  it.each([
    [undefined, "doesn't say how many"],
    [2, "2 tries are left"],
    [1, "1 try is left"],
    [0, "locked now"],
  ])("tries a wrong PIN once and says what is left (%s)", async (left, says) => {
    const use = vi.fn(failing(ckr.pinIncorrect));
    const source = scriptedPinSource(["1234"]);
    await expect(enterPin(entry(source, { use, triesLeft: async () => left }))).rejects.toMatchObject({
      code: "card.pin-wrong",
      message: expect.stringContaining(says),
      data: left === undefined ? undefined : { triesLeft: left },
    });
    expect([use.mock.calls.length, source.asked.length]).toEqual([1, 1]);
  });

  it("says that the PIN was wrong even when nobody can tell what is left", async () => {
    const triesLeft = async (): Promise<never> => {
      throw new Error("the card went");
    };
    const use = failing(ckr.pinLengthRange);
    await expect(enterPin(entry(scriptedPinSource(["1234"]), { use, triesLeft }))).rejects.toMatchObject({
      code: "card.pin-wrong",
    });
  });

  it("makes no try on a locked PIN, and asks nobody", async () => {
    const use = vi.fn(async () => "used");
    const source = scriptedPinSource(["1234"], { mayLock: true });
    const token = tokenFacts({ flags: tokenFlag.pinLocked | tokenFlag.pinFinalTry });
    await expect(enterPin(entry(source, { use, token }))).rejects.toMatchObject({ code: "card.pin-locked" });
    expect([use.mock.calls, source.asked, source.confirmed]).toEqual([[], [], []]);
  });

  it("says locked where the card only says so at the try", async () => {
    const source = scriptedPinSource(["1234"]);
    await expect(enterPin(entry(source, { use: failing(ckr.pinLocked) }))).rejects.toMatchObject({
      code: "card.pin-locked",
    });
  });

  it("spends the last try on a yes only", async () => {
    const token = tokenFacts({ flags: tokenFlag.pinFinalTry });
    const no = scriptedPinSource(["1234"]);
    await expect(enterPin(entry(no, { token }))).rejects.toMatchObject({ code: "card.pin-last-try" });
    expect([no.asked.length, no.confirmed.length]).toEqual([0, 1]);
    const yes = scriptedPinSource(["1234"], { mayLock: true });
    expect(await enterPin(entry(yes, { token }))).toBe("used");
    expect(yes.asked).toMatchObject([{ lastTry: true, triesLeft: 1 }]);
  });

  it.each([
    ["", "is empty"],
    ["12\n34", "control characters"],
    ["12\u000034", "control characters"],
    ["123", "4 to 8"],
    ["123456789", "4 to 8"],
    ["x".repeat(256), "longer than any card"],
  ])("doesn't send a PIN that can't be right (%j), and doesn't repeat it", async (pin, says) => {
    const use = vi.fn(async () => "used");
    const failure = await enterPin(entry(scriptedPinSource([pin]), { use })).catch((error: Error) => error);
    expect(failure).toMatchObject({ code: "card.pin-unavailable", message: expect.stringContaining(says) });
    if (pin !== "") expect(String(failure)).not.toContain(pin);
    expect(use).not.toHaveBeenCalled();
  });

  it("takes a token's limits for what they are only where they make sense", async () => {
    const token = tokenFacts({ minPinLength: 0, maxPinLength: 0xffff_ffff });
    expect(await enterPin(entry(scriptedPinSource(["1"]), { token }))).toBe("used");
  });

  it("sends an empty PIN for a PIN pad and asks nobody", async () => {
    const source = scriptedPinSource([]);
    const use = async (pin: string): Promise<string> => `pad:${pin}`;
    expect(await enterPin(entry(source, { use, usePinPad: true }))).toBe("pad:");
    expect(source.asked).toEqual([]);
    await expect(
      enterPin(entry(source, { use: failing(ckr.functionCanceled), usePinPad: true })),
    ).rejects.toMatchObject({ code: "card.pin-unavailable" });
  });

  it("doesn't send a PIN that came after the abort", async () => {
    const abort = new AbortController();
    const use = vi.fn(async () => "used");
    const source = scriptedPinSource(["1234"]);
    const slow = {
      ...source,
      ask: async () => {
        abort.abort(new Error("too late"));
        return "1234";
      },
    };
    await expect(enterPin(entry(slow, { use, signal: abort.signal }))).rejects.toThrow("too late");
    expect(use).not.toHaveBeenCalled();
  });
});

it("pinState reads the token's flags, the worst first", () => {
  const state = (flags: number): string => pinState(tokenFacts({ flags }));
  expect(state(0)).toBe("ok");
  expect(state(tokenFlag.pinCountLow)).toBe("low");
  expect(state(tokenFlag.pinCountLow | tokenFlag.pinFinalTry)).toBe("last-try");
  expect(state(tokenFlag.pinLocked | tokenFlag.pinFinalTry)).toBe("locked");
});

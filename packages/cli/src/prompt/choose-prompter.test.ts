import { describe, expect, test } from "vitest";
import { choosePrompter, promptKind } from "./choose-prompter.ts";

const yes = () => true;
const no = () => false;
const askpass = { SSH_ASKPASS: "/usr/bin/askpass" };

describe("promptKind", () => {
  test("asks at the terminal, else by SSH_ASKPASS, else nobody", () => {
    expect(promptKind({ env: askpass, hasTerminal: yes })).toBe("tty");
    expect(promptKind({ env: askpass, hasTerminal: no })).toBe("askpass");
    expect(promptKind({ env: {}, hasTerminal: no })).toBe("none");
    expect(promptKind({ env: { SSH_ASKPASS: "" }, hasTerminal: no })).toBe("none");
  });

  test("--pin-source tty and askpass leave no choice", () => {
    expect(promptKind({ env: askpass, only: "tty", hasTerminal: no })).toBe("none");
    expect(promptKind({ env: askpass, only: "askpass", hasTerminal: yes })).toBe("askpass");
    expect(promptKind({ env: {}, only: "askpass", hasTerminal: yes })).toBe("none");
  });

  test("SSH_ASKPASS_REQUIRE is kept as ssh keeps it", () => {
    const require = (value: string, more = {}) => ({
      env: { ...askpass, SSH_ASKPASS_REQUIRE: value, ...more },
    });
    expect(promptKind({ ...require("force"), hasTerminal: yes })).toBe("askpass");
    expect(promptKind({ ...require("prefer", { DISPLAY: ":0" }), hasTerminal: yes })).toBe("askpass");
    expect(promptKind({ ...require("prefer"), hasTerminal: yes })).toBe("tty");
    expect(promptKind({ ...require("never"), hasTerminal: no })).toBe("none");
  });
});

test("an interrupt ends the question that is open, and every later one", async () => {
  const controller = new AbortController();
  const prompter = choosePrompter({
    env: { SSH_ASKPASS: "/bin/cat", SSH_ASKPASS_REQUIRE: "force" },
    only: undefined,
    pause: () => () => undefined,
    onInterrupt: () => undefined,
    signal: controller.signal,
  });
  // cat takes the question for a file's name: it fails, which calls the question off.
  await expect(prompter?.askSecret({ message: "/no/such/file" })).rejects.toThrow(/not answered/);
  const stopped = ["/dev/zero", "later"].map((message) =>
    expect(prompter?.askSecret({ message })).rejects.toThrow("stopped"),
  );
  controller.abort(new Error("stopped"));
  await Promise.all(stopped);
});

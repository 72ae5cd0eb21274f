import { PassThrough } from "node:stream";
import { isCodedError } from "@farside/protocol";
import { describe, expect, test, vi } from "vitest";
import type { CommandContext } from "./command-context.ts";
import { runCommandLine } from "./command-line.ts";
import { agentOptions } from "./commands/agent.ts";
import { allForwardOptions } from "./commands/forward.ts";
import { allRunOptions } from "./commands/run.ts";
import { statusOptions } from "./commands/status.ts";
import { teardownOptions } from "./commands/teardown.ts";
import { Interrupts } from "./interrupts.ts";

const context: CommandContext = {
  stdout: process.stdout,
  stderr: process.stderr,
  env: {},
  interrupts: new Interrupts(),
};

/** None of these lines gets as far as a command. */
async function mistake(...words: string[]): Promise<string> {
  try {
    await runCommandLine(words, context);
  } catch (error) {
    return isCodedError(error) ? `${error.code}: ${error.message} | ${error.hint}` : String(error);
  }
  return "no mistake";
}

const forwardHint = "farside forward --help shows what there is.";

describe("a mistake on the command line", () => {
  test.each([
    [[], "usage.invalid: Say which command to run. | farside --help shows what there is."],
    [["forwar", "x"], "usage.invalid: unknown command forwar | Did you mean forward?"],
    [
      ["card"],
      "usage.invalid: Say what to do with the card: list, keys or test. | farside card --help shows what there is.",
    ],
    [["forward"], `usage.invalid: the jump host is missing | ${forwardHint}`],
    [["forward", "x"], `usage.invalid: -L is missing | ${forwardHint}`],
    [["forward", "x", "-L"], `usage.invalid: -L needs a value | ${forwardHint}`],
    [
      ["forward", "x", "-L", "1:b:2", "--nmae", "y"],
      "usage.invalid: unknown option --nmae | Did you mean --name?",
    ],
    [["forward", "x", "-L", "1:b:2", "--quux"], `usage.invalid: unknown option --quux | ${forwardHint}`],
    // Said before what yargs makes of the words behind them.
    [["forward", "--hlep"], "usage.invalid: unknown option --hlep | Did you mean --help?"],
    [["forward", "-json", "x"], "usage.invalid: unknown option -json | Did you mean --json?"],
    [
      ["forward", "--pkcs11=m", "x"],
      "usage.invalid: unknown option --pkcs11 | Did you mean --pkcs11-provider?",
    ],
    [["forward", "x", "-L", "1:b:2", "-P", "22"], "usage.invalid: unknown option -P | Did you mean -p?"],
    // What fingers know of ssh(1).
    [["forward", "-l", "me", "x", "-L", "1:b:2"], "usage.invalid: unknown option -l | Write USER@HOST."],
    [["forward", "-i", "key", "x"], "usage.invalid: unknown option -i | Write --identity FILE."],
    [
      ["forward", "-fNL", "1:b:2", "x"],
      "usage.invalid: unknown option -f, unknown option -N | " +
        "--detach --ttl TIME leaves the forward running without farside. Leave it out: farside forward runs no command.",
    ],
    [["-v"], "usage.invalid: unknown option -v | Write --log-level debug."],
    // But no option that the command does not have.
    [
      ["card", "list", "-i", "x"],
      "usage.invalid: unknown option -i | farside card --help shows what there is.",
    ],
    // A value before the command is no command.
    [
      ["--identity", "card", "forward", "-L", "1:b:2"],
      "usage.invalid: the jump host is missing | farside --help shows what there is.",
    ],
    [["-v", "forward", "x"], "usage.invalid: unknown option -v | Write --log-level debug."],
    [["forward", "x", "y", "-L", "1:b:2"], `usage.invalid: unexpected argument "y" | ${forwardHint}`],
    [
      ["forward", "x", "-L", "1:b:2", "--name", "a", "--name", "b"],
      "usage.invalid: --name is given 2 times | Give it once.",
    ],
    [
      ["forward", "x", "-L", "1:b:2", "--name", "--json"],
      `usage.invalid: --name needs a value | ${forwardHint}`,
    ],
    [
      ["forward", "x", "-L", "1:b:2", "--name="],
      `usage.invalid: --name needs a value, and got an empty one | ${forwardHint}`,
    ],
    [["forward", "x", "-L", "1:b:2", "--json=no"], `usage.invalid: --json takes no value | ${forwardHint}`],
    [
      ["forward", "x", "-L", "1:b:2", "--no-json"],
      `usage.invalid: unknown option --no-json | ${forwardHint}`,
    ],
    [
      ["forward", "x", "-L", "1:b:2", "--", "ls"],
      `usage.invalid: -- and what follows it has no meaning here | ${forwardHint}`,
    ],
    [
      ["forward", "x", "-L", "1:b:2", "--lease", "5x"],
      'usage.invalid: --lease: "5x" is not a duration | Write seconds, or a number and a unit: 15, 15s, 2m, 1h, 1d.',
    ],
    [
      ["forward", "x", "-L", "1:b:2", "-p", "0"],
      `usage.invalid: -p: "0" is not a whole number from 1 to 65535 | ${forwardHint}`,
    ],
    [
      ["forward", "x", "-L", "1:b:2", "-o", "Foo"],
      'usage.invalid: -o: "Foo" is not KEY=VALUE | Example: -o ConnectTimeout=5',
    ],
    [
      ["forward", "x", "-L", "1:b:2", "--events", "3"],
      'usage.invalid: --events: "3" is not fd:N | Example: --events fd:3 3>events.jsonl',
    ],
    [["audit", "verfy"], "usage.invalid: unknown command audit verfy | Did you mean verify?"],
    // Too far away from every one there is.
    [
      ["agent", "foo"],
      "usage.invalid: unknown command agent foo | farside agent --help shows what there is.",
    ],
    [["card", "foo"], "usage.invalid: unknown command card foo | farside card --help shows what there is."],
    [["card", "kyes"], "usage.invalid: unknown command card kyes | Did you mean keys?"],
    // Its help is none of another.
    [["help", "forwrd"], "usage.invalid: unknown command forwrd | Did you mean forward?"],
    [["agent", "instal", "--help"], "usage.invalid: unknown command agent instal | Did you mean install?"],
    // Not a script for bash, and then a mistake.
    [
      ["completion", "fish"],
      'usage.invalid: unexpected argument "fish" | It is for the shell that SHELL names: bash, or zsh.',
    ],
    [["agent", "instal", "x"], "usage.invalid: unknown command agent instal | Did you mean install?"],
    [
      ["agent", "install"],
      "usage.invalid: the build server is missing | farside agent install --help shows what there is.",
    ],
    [
      ["agent", "status", "x", "--once"],
      "usage.invalid: unknown option --once | farside agent status --help shows what there is.",
    ],
  ])("%j is explained", async (words, said) => {
    expect(await mistake(...words)).toBe(said);
  });

  test("a command can't outlive its connection, and who wants that is told what can", async () => {
    expect(Object.keys(allForwardOptions)).toEqual(expect.arrayContaining(["reattach", "detach"]));
    for (const option of ["reattach", "detach"]) expect(allRunOptions).not.toHaveProperty(option);
    // Every other exit code of `run` is its command's.
    const run = async (...options: string[]) => {
      const stderr = new PassThrough();
      // The last, so that yargs takes the jump host for its value.
      const words = ["run", ...options, "x", "-L", "1:b:2", "--", "true"];
      expect(await runCommandLine(words, { ...context, stderr })).toBe(125);
      return String(stderr.read());
    };
    expect(await run("--detach", "--ttl", "1h")).toMatch(
      /^error\[usage.invalid\]: run has no --detach.*\nhint: .*farside forward --detach --ttl/,
    );
    expect(await run("--reattach")).toMatch(/: run has no --reattach.*\nhint: .*farside forward --reattach/);
    expect(await run("--json")).toMatch(/: run has no --json.*\nhint: --events fd:N/);
  });

  test("letters that there are, are no misspelt word; ssh's that run has nothing for get no other command's option", async () => {
    const run = async (...options: string[]) => {
      const stderr = new PassThrough();
      const words = ["run", ...options, "-L", "1:b:2", "--", "true"];
      expect(await runCommandLine(words, { ...context, stderr })).toBe(125);
      return String(stderr.read());
    };
    expect(await run("-tt")).toMatch(/: the jump host is missing\n/);
    expect(await run("-tty")).toMatch(/: unknown option -tty\nhint: Did you mean --tty\?\n/);
    expect(await run("-f")).toMatch(/: unknown option -f\nhint: farside run --help shows what there is\.\n/);
  });

  test("a command that does not stand behind -- is told where it belongs", async () => {
    const stderr = new PassThrough();
    const words = ["run", "x", "-L", "1:b:2", "make", "sign"];
    expect(await runCommandLine(words, { ...context, stderr })).toBe(125);
    expect(String(stderr.read())).toMatch(/unexpected argument "make".*\nhint: Put the command behind --: /);
  });

  test("what an option is given is not taken for an option, and whatever asks for help gets it", async () => {
    // yargs misses the jump host: so far everything was well.
    expect(await mistake("forward", "--name", "nmae", "-L", "1:b:2")).toContain("the jump host is missing");
    const log = vi.spyOn(console, "log").mockImplementation(() => {});
    expect(await mistake("forward", "--nmae", "--help")).toBe("no mistake");
    expect(await mistake("help", "forward")).toBe("no mistake");
    expect(log.mock.calls.map(([text]) => String(text).split("\n")[0])).toEqual([
      "farside forward [user@]JUMP -L SPEC … [--via HOP,…] [options]",
      "farside forward [user@]JUMP -L SPEC … [--via HOP,…] [options]",
    ]);
    log.mockRestore();
  });

  test("every flag that is given a value is one, also =yes, which would be read as no", async () => {
    const flags = {
      ...allForwardOptions,
      ...allRunOptions,
      ...teardownOptions,
      ...statusOptions,
      ...agentOptions,
    };
    const names = Object.entries(flags).flatMap(([name, option]) =>
      "type" in option && option.type === "boolean" ? [name] : [],
    );
    expect(names.length).toBeGreaterThan(3);
    for (const name of names) {
      expect(await mistake("forward", "x", "-L", "1:b:2", `--${name}=yes`)).toContain(
        `--${name} takes no value`,
      );
    }
  });
});

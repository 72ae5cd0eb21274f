import { expect, test, vi } from "vitest";
import yargs from "yargs";
import type { CommandContext } from "./command-context.ts";
import { defineCommandLine, runCommandLine } from "./command-line.ts";
import { Interrupts } from "./interrupts.ts";

interface Usage {
  cacheHelpMessage(): void;
  hasCachedHelpMessage(): boolean;
}
const usageOf = (line: object): Usage =>
  (line as { getInternalMethods(): { getUsageInstance(): Usage } }).getInternalMethods().getUsageInstance();

test("no help is laid out for a command that runs, and yargs still would", async () => {
  const { stdin, stdout, stderr } = process;
  const context: CommandContext = { stdin, stdout, stderr, env: {}, interrupts: new Interrupts() };
  const usage = usageOf(defineCommandLine([], context, () => {}));
  usage.cacheHelpMessage();
  expect(usage.hasCachedHelpMessage()).toBe(false);

  const plain = yargs().command("run", "", {}, () => {});
  await plain.parseAsync(["run"]);
  expect(usageOf(plain).hasCachedHelpMessage()).toBe(true);
});

test("each command has a help with an example", async () => {
  const { stdin, stdout, stderr } = process;
  const context: CommandContext = { stdin, stdout, stderr, env: {}, interrupts: new Interrupts() };
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  const helpOf = async (words: readonly string[]) => {
    log.mockClear();
    expect(await runCommandLine([...words, "--help"], context)).toBe(0);
    return String(log.mock.calls[0]?.[0]);
  };
  const commandsIn = (help: string) =>
    [...help.matchAll(/^ {2}farside ([a-z]+(?: [a-z]+)?)(?= |$)/gm)].map(([, name = ""]) => name.split(" "));
  const commands = commandsIn(await helpOf([])).filter(([name]) => name !== "completion");
  expect(commands.length).toBeGreaterThan(7);
  for (const words of commands) {
    const help = await helpOf(words);
    const below = /^Commands:/m.test(help) ? commandsIn(help.split("Examples:")[0] ?? "") : [];
    if (below.length === 0) expect(help, words.join(" ")).toContain("Examples:");
    for (const subcommand of below)
      expect(await helpOf(subcommand), subcommand.join(" ")).toContain("Examples:");
  }
  log.mockRestore();
});

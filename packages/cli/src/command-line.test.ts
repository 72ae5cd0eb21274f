import { expect, test } from "vitest";
import yargs from "yargs";
import type { CommandContext } from "./command-context.ts";
import { defineCommandLine } from "./command-line.ts";
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

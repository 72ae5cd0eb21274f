import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isCodedError } from "@farside/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AskpassPrompter } from "./askpass.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-askpass-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function program(name: string, body: string): Promise<AskpassPrompter> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o700);
  return new AskpassPrompter(path);
}

const codeOf = (error: unknown) => (isCodedError(error) ? error.code : String(error));

test("the question is the argument, the first line of the output the answer", async () => {
  const prompter = await program("answer", `printf '%s' "$1" > ${folder}/asked; echo '12 34'; echo more`);
  expect(await prompter.askSecret({ before: ["The card was put in again."], message: "PIN\u001b[2J:" })).toBe(
    "12 34",
  );
  expect(await readFile(join(folder, "asked"), "utf8")).toBe("The card was put in again.\nPIN\\x1b[2J:");
});

test("a window that was closed calls it off", async () => {
  const prompter = await program("cancel", "exit 1");
  await expect(prompter.askSecret({ message: "PIN:" }).catch(codeOf)).resolves.toBe("canceled");
});

test("only yes is yes: not a closed window, not another word", async () => {
  const ok = await program("ok", 'test "$SSH_ASKPASS_PROMPT" = confirm && exit 0; echo no');
  const other = await program("other", "echo y");
  const closed = await program("closed", "exit 1");
  expect(await ok.askYes({ message: "Spend it?" })).toBe(true);
  expect(await other.askYes({ message: "Spend it?" })).toBe(false);
  expect(await closed.askYes({ message: "Spend it?" })).toBe(false);
});

test("an answer without an end is not kept in memory", async () => {
  const prompter = await program("long", "head -c 100000 /dev/zero | tr '\\0' x");
  await expect(prompter.askSecret({ message: "PIN:" }).catch(codeOf)).resolves.toBe("card.pin-unavailable");
});

test("a program that can't be run says which", async () => {
  const failure = new AskpassPrompter(join(folder, "missing")).askSecret({ message: "PIN:" });
  await expect(failure).rejects.toThrow(/cannot run SSH_ASKPASS program .*missing/);
});

test("an abort ends the program", async () => {
  const prompter = await program("wait", "exec sleep 60");
  const controller = new AbortController();
  const answer = prompter.askSecret({ message: "PIN:", signal: controller.signal });
  controller.abort(new Error("enough"));
  await expect(answer).rejects.toThrow("enough");
});

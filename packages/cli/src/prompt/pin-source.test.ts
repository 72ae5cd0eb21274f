import { closeSync, openSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isCodedError } from "@farside/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { pinSource, withoutQuestions } from "./pin-source.ts";
import type { Prompter, TextQuestion } from "./prompter.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-pin-"));
});
afterAll(() => rm(folder, { recursive: true }));

const request = { token: "PIV", reason: "first", lastTry: false } as const;
const codeOf = (error: unknown) => (isCodedError(error) ? error.code : String(error));

function person(isYes: boolean) {
  const asked: TextQuestion[] = [];
  const prompter: Prompter = {
    askSecret: async (question) => {
      asked.push(question);
      return "4711";
    },
    askText: async () => "",
    askYes: async (question) => {
      asked.push(question);
      return isYes;
    },
  };
  return { prompter, asked };
}

test("a person is told the token and the budget, and why it is asked again", async () => {
  const { prompter, asked } = person(true);
  const source = pinSource({ origin: undefined, prompter, env: {} });
  expect(await source.ask(request)).toBe("4711");
  await source.ask({ ...request, reason: "card-reinserted" });
  await source.ask({ ...request, reason: "wrong-pin", triesLeft: 1, lastTry: true });
  expect(asked.map(({ message }) => message)).toEqual([
    'PIN 1 of 1 for card "PIV":',
    'PIN for card "PIV":',
    'PIN for card "PIV":',
  ]);
  expect(asked.map(({ before }) => before?.join(" "))).toEqual([
    "",
    "The card was put in again, so it wants its PIN again.",
    "The card refused that PIN. One try is left.",
  ]);
  expect(source.isInteractive).toBe(true);
});

test("the last try needs a person's yes", async () => {
  const lastTry = { ...request, lastTry: true };
  expect(
    await pinSource({ origin: undefined, prompter: person(true).prompter, env: {} }).confirmLastTry(lastTry),
  ).toBe(true);
  expect(
    await pinSource({ origin: undefined, prompter: person(false).prompter, env: {} }).confirmLastTry(lastTry),
  ).toBe(false);
  const file = pinSource({ origin: { kind: "file", path: "/dev/null" }, prompter: undefined, env: {} });
  expect(await file.confirmLastTry(lastTry)).toBe(false);
});

test("without anybody to ask the error names the other ways", async () => {
  const source = pinSource({ origin: undefined, prompter: undefined, env: {} });
  await expect(source.ask(request).catch(codeOf)).resolves.toBe("card.pin-unavailable");
  await expect(source.ask(request)).rejects.toThrow(/no terminal, and no SSH_ASKPASS/);
});

test("an environment variable is taken out of the environment, a file read anew", async () => {
  const env = { MY_PIN: "123456", PATH: "/bin" };
  const fromEnv = pinSource({ origin: { kind: "env", name: "MY_PIN" }, prompter: undefined, env });
  expect(env).toEqual({ PATH: "/bin" });
  expect(await fromEnv.ask(request)).toBe("123456");
  expect(fromEnv.isInteractive).toBe(false);

  const path = join(folder, "pin");
  await writeFile(path, "654321\n", { mode: 0o600 });
  const fromFile = pinSource({ origin: { kind: "file", path }, prompter: undefined, env });
  expect(await fromFile.ask(request)).toBe("654321");
});

test("a descriptor gives a line for each PIN entry", async () => {
  const path = join(folder, "lines");
  await writeFile(path, "1111\n2222\n");
  const fd = openSync(path, "r");
  const source = pinSource({ origin: { kind: "fd", fd }, prompter: undefined, env: {} });
  expect(await source.ask(request)).toBe("1111");
  expect(await source.ask(request)).toBe("2222");
  closeSync(fd);
});

test("with BatchMode nobody is asked: for the PIN an error says why, for the last try it is no", async () => {
  const { prompter, asked } = person(true);
  const quiet = withoutQuestions(pinSource({ origin: undefined, prompter, env: {} }));
  await expect(quiet.ask(request).catch(codeOf)).resolves.toBe("card.pin-unavailable");
  await expect(quiet.ask(request)).rejects.toThrow(/BatchMode/);
  expect(await quiet.confirmLastTry({ ...request, lastTry: true })).toBe(false);
  const env = { MY_PIN: "123456" };
  const named = withoutQuestions(pinSource({ origin: { kind: "env", name: "MY_PIN" }, prompter, env }));
  expect(await named.ask(request)).toBe("123456");
  expect(await named.confirmLastTry({ ...request, lastTry: true })).toBe(false);
  expect(asked).toEqual([]);
});

import { expect, test } from "vitest";
import type { Prompter, TextQuestion } from "./prompter.ts";
import { askHostKey, askKeyboardInteractive, askPassphrase } from "./questions.ts";

function scripted(answers: readonly string[]) {
  const asked: (TextQuestion & { how: string })[] = [];
  const take = (how: string) => async (question: TextQuestion) => {
    asked.push({ ...question, how });
    return answers[asked.length - 1] ?? "";
  };
  const prompter: Prompter = {
    askSecret: take("secret"),
    askText: take("text"),
    askYes: async (question) => (await take("yes")(question)) === "yes",
  };
  return { prompter, asked };
}

test("a host's questions are asked in order, hidden unless it wants an echo", async () => {
  const { prompter, asked } = scripted(["me", "123"]);
  const answers = await askKeyboardInteractive(
    prompter,
    {
      from: "me@jump",
      name: "two factors",
      instructions: "Look at\nyour token",
      prompts: [
        { text: "Name: ", echo: true },
        { text: "Code: ", echo: false },
      ],
    },
    { signal: new AbortController().signal },
  );
  expect(answers).toEqual(["me", "123"]);
  expect(asked.map(({ how, message }) => `${how} ${message}`)).toEqual([
    "text (me@jump) Name:",
    "secret (me@jump) Code:",
  ]);
  expect(asked[0]?.before).toEqual([
    "me@jump asks, and is given the answer: never the PIN of your card.",
    ...["(me@jump) two factors", "(me@jump) Look at", "(me@jump) your token"],
  ]);
});

test("a host that asks as farside does is told from it in every line", async () => {
  const { prompter, asked } = scripted([]);
  const { signal } = new AbortController();
  const imitated = {
    ...{
      from: "me@jump",
      name: "The card refused that PIN.",
      instructions: "One try is left.\nBe sure of it.",
    },
    prompts: [{ text: 'PIN for card "PIV": ', echo: false }],
  };
  await askKeyboardInteractive(prompter, imitated, { signal });
  for (const line of [...(asked[0]?.before ?? []), asked[0]?.message])
    expect(line).toMatch(/^\(me@jump\) |^me@jump asks/);
});

test("an unknown host key is shown with its fingerprint, and only yes accepts it", async () => {
  const question = { place: { host: "jump", port: 2222 }, type: "ssh-ed25519", fingerprint: "SHA256:abc" };
  const { prompter, asked } = scripted(["yes", "no"]);
  expect(await askHostKey(prompter, question, { signal: undefined })).toBe(true);
  expect(await askHostKey(prompter, question, { signal: undefined })).toBe(false);
  expect(asked[0]?.before?.join(" ")).toContain("[jump]:2222");
  expect(asked[0]?.before?.join(" ")).toContain("ssh-ed25519 SHA256:abc");
  await askHostKey(prompter, { ...question, reportedBy: "me@jump" }, {});
  expect(asked[2]?.before?.join(" ")).toContain("That is what me@jump reports");
});

test("a passphrase that was wrong is said to be", async () => {
  const { prompter, asked } = scripted([]);
  await askPassphrase(prompter, "/k", { triesLeft: 3, signal: undefined });
  await askPassphrase(prompter, "/k", { triesLeft: 2, signal: undefined });
  expect(asked.map(({ before }) => before?.length)).toEqual([0, 1]);
});

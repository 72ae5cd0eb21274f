import { readFile } from "node:fs/promises";
import { CodedError } from "@farside/protocol";

/** A forwards.yaml, with the name that errors call it by. */
export interface ForwardsText {
  readonly name: string;
  readonly text: string;
}

/** Reads the file of `-f`. Rejects with `config.invalid`. */
export async function readForwardsText(name: string): Promise<ForwardsText> {
  try {
    return { name, text: await readFile(name, "utf8") };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CodedError(
      "config.invalid",
      `reading ${name}: ${code === "ENOENT" ? "there is no such file" : (code ?? message)}`,
      {
        hint: "docs/installed-agents.md has an example of a forwards.yaml.",
        cause: error,
      },
    );
  }
}

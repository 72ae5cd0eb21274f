import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { PreambleScanner } from "@farside/protocol";
import { within } from "./within.ts";

/** A bundle's process, up to its preamble. */
export interface StartedBundle {
  readonly child: ChildProcessWithoutNullStreams;
  readonly status: string;
  /** What came behind the preamble so far. */
  readonly rest: Buffer;
  /** What it has written to stderr so far. */
  readonly stderr: () => string;
}

/** Starts `command`, which runs a bundle as the loader does, and waits for its preamble. */
export async function startBundle(
  command: readonly string[],
  { nonce, env = process.env }: { readonly nonce: string; readonly env?: NodeJS.ProcessEnv },
): Promise<StartedBundle> {
  const [file = "", ...args] = command;
  const child = spawn(file, args, { stdio: "pipe", env });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdin.on("error", () => undefined);
  const scanner = new PreambleScanner(nonce);
  const preamble = new Promise<{ status: string; rest: Buffer }>((resolve, reject) => {
    const take = () => {
      for (let chunk = child.stdout.read(); chunk !== null; chunk = child.stdout.read()) {
        const found = scanner.push(chunk);
        if (found === undefined) continue;
        child.stdout.off("readable", take);
        resolve(found);
        return;
      }
    };
    child.stdout.on("readable", take);
    child.stdout.once("end", () => reject(new Error(`no preamble; stderr: ${stderr}`)));
  });
  const { status, rest } = await within(preamble, () => `no preamble; stderr: ${stderr}`);
  return { child, status, rest, stderr: () => stderr };
}

import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Runs a program without a shell, at most 20 s, and resolves with its stdout; rejects when it fails. */
export async function program(
  file: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const { stdout } = await promisify(execFile)(file, args, { timeout: 20_000, ...options });
  return stdout;
}

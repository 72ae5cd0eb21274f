import type { ForwardOptions } from "@farside/orchestrator";

/** `--runtime-file`, else what the environment names: that counts only where something may be sent. */
export function runtimeFileOf(
  { runtimeFile, runtime }: Pick<ForwardOptions, "runtimeFile" | "runtime">,
  env: NodeJS.ProcessEnv,
): string | undefined {
  if (runtimeFile !== undefined || runtime === "never") return runtimeFile;
  return env["FARSIDE_RUNTIME_FILE"] || undefined;
}

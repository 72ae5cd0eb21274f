import { CodedError, harmless } from "@farside/protocol";
import type { ConfigValues } from "./config-values.ts";

/** The options in what `ssh -G` printed for `alias`; throws `config.invalid` where a line is none. */
export function parseConfigOutput(alias: string, output: string): ConfigValues {
  const values = new Map<string, string[]>();
  for (const line of output.split("\n")) {
    if (line === "") continue;
    const [name = "", ...rest] = line.split(" ");
    if (!/^[A-Za-z0-9]+$/u.test(name))
      throw new CodedError(
        "config.invalid",
        `reading ssh_config for ${alias}: ssh -G printed "${harmless(line)}"`,
      );
    const key = name.toLowerCase();
    values.set(key, [...(values.get(key) ?? []), rest.join(" ")]);
  }
  return values;
}

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/** How the signer process is started: the arguments of Node. */
export type SignerEntry = readonly [string, ...string[]];

/**
 * The signer's entry file beside the file that this code is in: `signer-main.js` in dist and beside a bundled command
 * line, `signer-main.ts` through tsx when run from source (0.3 s slower).
 */
export function defaultSignerEntry(moduleUrl: string = import.meta.url): SignerEntry {
  if (!moduleUrl.endsWith(".ts")) return [fileURLToPath(new URL("./signer-main.js", moduleUrl))];
  const tsx = createRequire(moduleUrl).resolve("tsx");
  const entry = fileURLToPath(new URL("./signer-main.ts", moduleUrl));
  return ["--import", tsx, "--conditions=@farside/source", entry];
}

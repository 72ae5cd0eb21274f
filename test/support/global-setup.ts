import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const checkout = fileURLToPath(new URL("../..", import.meta.url));

/** Builds what the end-to-end tests run: the command line and the agent's bundle. A stale build would test nothing. */
export default function setup(): void {
  // Set by scripts/test, which has just built.
  if (process.env["FARSIDE_IS_BUILT"] === "yes") return;
  execFileSync("npm", ["run", "--silent", "build"], {
    cwd: checkout,
    stdio: ["ignore", "inherit", "inherit"],
  });
}

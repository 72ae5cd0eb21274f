import type { Lab } from "../lab/lab.ts";

/** Takes every node of the jump host out of reach of the login, until `restore`. Marks the host both times. */
export async function hideNode(lab: Lab): Promise<{ restore(): Promise<void> }> {
  const found = await lab.jump.run([
    "sh",
    "-c",
    "ls /usr/local/bin/node /usr/bin/node /usr/bin/nodejs 2> /dev/null; true",
  ]);
  const paths = found
    .trim()
    .split("\n")
    .filter((path) => path !== "");
  // Mode 0, not a move: the copy-up of a bind-mounted node is not possible, and root keeps using it by its path.
  const modes = await Promise.all(paths.map((path) => lab.jump.run(["stat", "-L", "-c", "%a", path])));
  for (const path of paths) await lab.jump.run(["chmod", "0700", path]);
  await lab.jump.mark();
  return {
    restore: async () => {
      for (const [index, path] of paths.entries())
        await lab.jump.run(["chmod", modes[index]?.trim() ?? "755", path]);
      await lab.jump.mark();
    },
  };
}

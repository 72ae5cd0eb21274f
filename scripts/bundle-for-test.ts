import { copyFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { BundleName } from "@farside/agent/bundle";

const built = fileURLToPath(new URL("../packages/agent/dist/", import.meta.url));

/**
 * Puts a bundle into a folder of the test's own, which is there. It is made of the source as it is now; where scripts/test
 * runs the tests, it has been: making one takes a second or two, and dozens of files of tests want one.
 */
export async function bundleForTest(folder: string, name: BundleName): Promise<void> {
  if (process.env["FARSIDE_IS_BUILT"] !== "yes") {
    const { bundleAgent } = await import("./bundle.ts");
    await bundleAgent(folder, name);
    return;
  }
  const files = [`${name}.cjs`, `${name}.cjs.br`, `${name}.json`];
  await Promise.all(files.map((file) => copyFile(`${built}${file}`, `${folder}${file}`)));
}

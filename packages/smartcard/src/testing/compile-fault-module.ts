import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Compiles the module that fails on demand (fault-module.c) to `output`. Needs gcc. */
export async function compileFaultModule(output: string): Promise<void> {
  const source = fileURLToPath(new URL("./fault-module.c", import.meta.url));
  const pkcs11js = dirname(createRequire(import.meta.url).resolve("pkcs11js/package.json"));
  const headers = join(pkcs11js, "includes", "pkcs11");
  await promisify(execFile)("gcc", [
    "-shared",
    "-fPIC",
    "-O1",
    `-I${headers}`,
    "-o",
    output,
    source,
    "-ldl",
  ]).catch((error: unknown) => {
    throw new Error("cannot compile the faulty module: apt install gcc libc6-dev", { cause: error });
  });
}

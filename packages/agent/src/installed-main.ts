/**
 * What the installed agent's bundle runs: started by the loader it is the installer, which puts itself on the host; started
 * from there it is the agent (`serve FOLDER`), what keeps it running where there is no systemd (`supervise FOLDER`), or the host's
 * own `teardown [--json]` of what sessions have left there.
 */
import { prepareProcess } from "./agent-process.ts";
import { jobOf, readBootFacts } from "./boot-facts.ts";
import { serve } from "./installed/serve.ts";
import { supervise } from "./installed/supervise.ts";
import { runInstaller } from "./installer/run-installer.ts";
import { Log } from "./log.ts";
import { runTeardown } from "./teardown/run-teardown.ts";

const USAGE = 64;

async function run(): Promise<void> {
  const [, , verb, folder] = process.argv;
  if (process.argv[1]?.endsWith(".cjs") === true && folder !== undefined && verb === "serve")
    return serve(folder);
  if (process.argv[1]?.endsWith(".cjs") === true && folder !== undefined && verb === "supervise")
    return supervise(folder);
  if (process.argv[1]?.endsWith(".cjs") === true && verb === "teardown") {
    const print = (line: string) => process.stdout.write(`${line}\n`);
    process.exitCode = await runTeardown(process.argv.slice(3), process.env, print);
    return;
  }
  const boot = readBootFacts(globalThis);
  if (jobOf(boot)["job"] !== "install") process.exit(USAGE);
  const log = new Log(process.stderr);
  prepareProcess(log);
  process.title = "farside-installer";
  await runInstaller({ boot, stdin: process.stdin, stdout: process.stdout, environment: process.env, log });
  process.exit(0);
}

void run();

/**
 * Runs on the workstation: asks something that answers at once and measures how long it takes. Arguments: `farside JUMP KEY
 * FORWARD` or `ssh JUMP KEY`. Says `ready`; then, for each line N on its input, makes N round trips and prints them as JSON.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { deployAndForward } from "@farside/orchestrator";

type Ask = () => Promise<unknown>;

async function askFarside(jump: string, identity: string, forwards: string): Promise<Ask> {
  const session = await deployAndForward({ jump, identity, forwards });
  return () => session.describe({ signal: AbortSignal.timeout(10_000) });
}

/** What any program over ssh could do: a line to `cat` and back. */
async function askSsh(jump: string, key: string): Promise<Ask> {
  const child = spawn(
    "ssh",
    ["-i", key, "-o", "IdentitiesOnly=yes", "-o", "PKCS11Provider=none", jump, "cat"],
    {
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  const ask = async (): Promise<void> => {
    child.stdin.write("a line\n");
    await once(child.stdout, "data");
  };
  await ask();
  return ask;
}

const [kind = "", jump = "", key = "", forwards = ""] = process.argv.slice(2);
const ask = await (kind === "farside" ? askFarside(jump, key, forwards) : askSsh(jump, key));
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const times: number[] = [];
  for (let index = 0; index < Number(line); index += 1) {
    const from = performance.now();
    await ask();
    times.push((performance.now() - from) * 1000);
  }
  console.log(JSON.stringify(times));
}
process.exit(0);

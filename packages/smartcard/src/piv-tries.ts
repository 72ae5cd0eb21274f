import { spawn } from "node:child_process";
import { once } from "node:events";
import { signerEnvironment } from "./signer-environment.ts";
import type { TokenFacts } from "./signer-messages.ts";

const TIMEOUT_MS = 5_000;
const MAX_OUTPUT_LENGTH = 4096;
/** VERIFY without a PIN: PIV answers with the tries that are left and takes none away (NIST SP 800-73-4, 3.2.1). */
const emptyVerify = "00:20:00:80";

/**
 * How many PIN tries a PIV card has left. PKCS#11 has no number, so OpenSC's own tool asks the card; undefined where that
 * isn't installed, and for other cards, on which an empty VERIFY might count as a try.
 */
export async function pivTriesLeft(
  { manufacturer, reader }: TokenFacts,
  env: Readonly<NodeJS.ProcessEnv>,
): Promise<number | undefined> {
  if (manufacturer !== "piv_II" || reader === "") return undefined;
  const args = ["--card-driver", "PIV-II", "--reader", reader, "--send-apdu", emptyVerify];
  const answer = await outputOf("opensc-tool", args, signerEnvironment(env)).catch(() => "");
  const status = /SW1=0x63, SW2=0xC([0-9A-F])/.exec(answer)?.[1];
  return status === undefined ? undefined : Number.parseInt(status, 16);
}

/** In a process group of its own: Ctrl-C in a terminal is for farside alone, and the card is in the middle of an answer. */
async function outputOf(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(program, args, {
    ...{ env, stdio: ["ignore", "pipe", "ignore"], detached: true },
    ...{ timeout: TIMEOUT_MS, killSignal: "SIGKILL" },
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text = (text + chunk).slice(-MAX_OUTPUT_LENGTH);
  });
  await once(child, "close");
  return text;
}

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { signerEnvironment } from "./signer-environment.ts";
import type { TokenFacts } from "./signer-messages.ts";

const TIMEOUT_MS = 5_000;
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
  const options = { env: signerEnvironment(env), timeout: TIMEOUT_MS, killSignal: "SIGKILL" } as const;
  const answer = await promisify(execFile)("opensc-tool", args, options).catch(() => undefined);
  const status = /SW1=0x63, SW2=0xC([0-9A-F])/.exec(answer?.stdout ?? "")?.[1];
  return status === undefined ? undefined : Number.parseInt(status, 16);
}

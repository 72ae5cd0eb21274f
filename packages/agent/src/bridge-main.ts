/** What an orchestrator starts on the jump host to reach the control socket of an agent that lives there. */
import { jobOf, readBootFacts } from "./boot-facts.ts";
import { endOwnLogin } from "./login-sshd.ts";
import { bridge } from "./resident/bridge.ts";

async function run(): Promise<void> {
  const boot = readBootFacts(globalThis);
  const { control = "" } = jobOf(boot);
  const { stdin, stdout } = process;
  const uid = process.getuid?.() ?? 0;
  process.title = "farside-bridge";
  process.exit(
    await bridge({ nonce: boot.nonce, control, uid, stdin, stdout, endOwnLogin: () => endOwnLogin(uid) }),
  );
}

void run();

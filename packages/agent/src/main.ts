/**
 * The session agent's process: what its bundle runs. stdout is the control channel; logs go to stderr. With
 * `resident-main.ts` the only place of the agent that knows the standard streams.
 */
import { liveAs, prepareProcess, setTitle } from "./agent-process.ts";
import { readBootFacts } from "./boot-facts.ts";
import { readHostFacts } from "./host-facts.ts";
import { Log } from "./log.ts";
import { endOwnLogin } from "./login-sshd.ts";
import { SessionAgent } from "./session-agent.ts";

function run(): void {
  const log = new Log(process.stderr);
  prepareProcess(log);
  const facts = readHostFacts();
  const agent = new SessionAgent({
    boot: readBootFacts(globalThis),
    stdin: process.stdin,
    stdout: process.stdout,
    facts,
    log,
    environment: process.env,
    onLease: setTitle,
    endOwnLogin: () => endOwnLogin(facts.uid),
  });
  liveAs(agent, { log, signals: ["SIGTERM", "SIGINT", "SIGHUP"] });
  // However it comes to that.
  process.on("exit", () => agent.killCommands());
}

run();

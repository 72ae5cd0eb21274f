/**
 * What the resident agent's bundle runs: started by the loader it launches the agent and becomes its bridge; started by
 * the launcher it is the agent.
 */
import { writeSync } from "node:fs";
import { encodePreamble, toWire } from "@farside/protocol";
import { liveAs, prepareProcess, setTitle } from "./agent-process.ts";
import { type BootFacts, jobOf, readBootFacts } from "./boot-facts.ts";
import { readHostFacts } from "./host-facts.ts";
import { Log } from "./log.ts";
import { endOwnLogin } from "./login-sshd.ts";
import { bridge } from "./resident/bridge.ts";
import { type LaunchAnswer, launch } from "./resident/launch.ts";
import { LogFile } from "./resident/log-file.ts";
import { ResidentAgent } from "./resident/resident-agent.ts";

const STDOUT_DESCRIPTOR = 1;
const FAILED = 69;

async function run(): Promise<void> {
  const boot = readBootFacts(globalThis);
  const job = jobOf(boot);
  if (job["job"] === "serve") await serve(boot, job);
  else process.exit(await start(boot, job));
}

/** Starts the agent and stays as the way to it. */
async function start(boot: BootFacts, { session = "" }: Readonly<Record<string, string>>): Promise<number> {
  const { stdin, stdout } = process;
  const facts = readHostFacts();
  try {
    const control = await launch({ boot, session, facts, environment: process.env });
    process.title = "farside-bridge";
    return await bridge({
      nonce: boot.nonce,
      control,
      uid: facts.uid,
      stdin,
      stdout,
      endOwnLogin: () => endOwnLogin(facts.uid),
    });
  } catch (error) {
    const status = `launch-failed:${JSON.stringify(toWire(error))}`;
    await new Promise<void>((resolve) => stdout.write(encodePreamble(boot.nonce, status), () => resolve()));
    return FAILED;
  }
}

async function serve(boot: BootFacts, { session = "", runDirectory = "" }: Readonly<Record<string, string>>) {
  const logFile = new LogFile({ path: `${runDirectory}/${session}.log` });
  const log = new Log(logFile);
  prepareProcess(log);
  setTitle(session);
  const { nonce, digest } = boot;
  try {
    const agent = await ResidentAgent.start({
      nonce,
      digest,
      session,
      runDirectory,
      facts: readHostFacts(),
      ...{ log, logFile },
      onLease: setTitle,
    });
    // Its login may go at any time.
    process.on("SIGHUP", () => undefined);
    liveAs(agent, { log, signals: ["SIGTERM", "SIGINT"] });
    answer({ control: agent.control });
  } catch (error) {
    answer({ error: toWire(error) });
    process.exit(FAILED);
  }
}

function answer(line: LaunchAnswer): void {
  writeSync(STDOUT_DESCRIPTOR, `${JSON.stringify(line)}\n`);
}

void run();

import path from "node:path";
import { CodedError, harmless } from "@farside/protocol";
import { checkPrivate, type RunDirectoryFacts, runDirectories } from "../control/run-directory.ts";
import { hasLog } from "../resident/log-file.ts";

/** The log of the agent of `session` on this host. Rejects with `agent.gone` where there is none. */
export async function sessionLog(session: string, facts: RunDirectoryFacts): Promise<string> {
  const file = `${session}.log`;
  for (const folder of path.basename(file) === file ? runDirectories(facts) : []) {
    const isOurs = await checkPrivate(folder, facts.uid).then(
      () => true,
      () => false,
    );
    if (isOurs && (await hasLog(path.join(folder, file)))) return path.join(folder, file);
  }
  throw new CodedError(
    "agent.gone",
    `looking for the log of the session ${harmless(session, 100)}: no agent of it is on this host`,
    {
      leg: "jump",
      hint: "Only agents that outlive their connection (--reattach, --detach) have one, as long as they live. farside status names the sessions of this workstation.",
    },
  );
}
